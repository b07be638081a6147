# privacy_guard: build, install and test.
#
#   make && make install              as every PGXS extension; PG_CONFIG=... chooses the server
#   make demo, make demo-stop         a guarded sample CRM and a tour of it, from nothing
#   make check                        every test, in private clusters; TESTS="regress t" for some
#   make bench                        measure against plain PostgreSQL, BENCH="--help" for the options
#   make lint, make format            what a reader would stumble over; mend the layout
#   make installcheck PG_CONFIG=...   the SQL tests against a running server

EXTENSION = privacy_guard
# The version is written once, in the control file.
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(EXTENSION).control)

MODULE_big = privacy_guard
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
SOURCE_HEADERS = $(wildcard src/*.h src/*/*.h)

# Topic files of the install script, in the order in which they depend on each other.
SQL_PARTS = $(addprefix src/sql/, prelude.sql types.sql subject_set.sql catalog.sql ledger.sql retention_tables.sql \
	audit_tables.sql audit_event.sql guard.sql verb.sql purpose.sql protect.sql subject.sql consent.sql basis.sql \
	confirm.sql import.sql own_statement.sql retain.sql hold.sql expiry.sql masks.sql erase.sql retention_run.sql \
	unneeded.sql eraser.sql subject_rows.sql erase_subject.sql audit.sql audit_proof.sql operate.sql utility.sql \
	statement.sql explain.sql coverage.sql views.sql privileges.sql)

PG_CPPFLAGS = -I$(srcdir)/src -DPRIVACY_GUARD_VERSION='"$(EXTVERSION)"'
# Not "clobbered": what it says of PG_TRY depends on the optimisation that the server was built with.
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-clobbered
EXTRA_CLEAN = $(DATA_built) exports.map tmp_check

# Export what the server calls and nothing else: it loads every library into one name space, and calls
# that cannot be interposed need no indirection.
SHLIB_LINK = -Wl,--version-script=exports.map
# OpenSSL for hashes and signatures, CRoaring for sets of subjects.
SHLIB_LINK += -lcrypto -lroaring

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=pgcrypto

ISOLATION = $(patsubst test/isolation/%.spec,%,$(sort $(wildcard test/isolation/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation --load-extension=pgcrypto --load-extension=privacy_guard

# These find or install PostgreSQL themselves, so they work where there is no pg_config yet.
HOUSE = check lint format demo demo-stop bench
.PHONY: $(HOUSE)

ifneq ($(filter-out $(HOUSE),$(or $(MAKECMDGOALS),all)),)
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
endif

$(OBJS): $(SOURCE_HEADERS)

exports.map: $(OBJS)
	{ echo '{ global: Pg_magic_func; _PG_init; privacy_guard_*;'; \
	  nm $(OBJS) | sed -n 's/.* T pg_finfo_\(.*\)/pg_finfo_\1; \1;/p'; \
	  echo 'local: *; };'; } > $@

$(MODULE_big).so: exports.map

$(DATA_built): $(SQL_PARTS) $(EXTENSION).control
	cat $(SQL_PARTS) > $@

# PGXS has a "check" that does nothing.
ifneq ($(filter check,$(MAKECMDGOALS)),)
check:
	@PG_CONFIG='$(PG_CONFIG)' test/run $(TESTS)
endif

lint:
	@PG_CONFIG='$(PG_CONFIG)' test/run lint

format:
	@test/lint/format

demo:
	@PG_CONFIG='$(PG_CONFIG)' demo/run

demo-stop:
	@demo/stop

bench:
	@PG_CONFIG='$(PG_CONFIG)' bench/run $(BENCH)
