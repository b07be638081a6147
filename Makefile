# privacy_guard: build, install and test.
#
#   make demo        everything, from packages to a guided tour
#   make check       every test, in private clusters
#   make installcheck PG_CONFIG=...   the SQL tests against a running server

EXTENSION = privacy_guard
# The version is written once, in the control file.
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(EXTENSION).control)

MODULE_big = privacy_guard
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
SOURCE_HEADERS = $(wildcard src/*.h src/*/*.h)

# Topic files of the install script, in the order in which they depend on each other.
SQL_PARTS = $(addprefix src/sql/, prelude.sql types.sql catalog.sql ledger.sql guard.sql verb.sql \
	purpose.sql protect.sql subject.sql consent.sql basis.sql confirm.sql import.sql operate.sql \
	explain.sql coverage.sql views.sql privileges.sql)

PG_CPPFLAGS = -I$(srcdir)/src -DPRIVACY_GUARD_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
EXTRA_CLEAN = $(DATA_built)

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=pgcrypto

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(SOURCE_HEADERS)

$(DATA_built): $(SQL_PARTS) $(EXTENSION).control
	cat $(SQL_PARTS) > $@
