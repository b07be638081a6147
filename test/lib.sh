# shellcheck shell=bash
# What the suites share. A suite is test/NAME/run; test/run starts it in a copy of the tree that the
# unprivileged user owns, with PG_CONFIG naming a private PostgreSQL that has the extension installed,
# its programs first in PATH, TMPDIR on a directory that goes when the run ends, and OUT on one where
# logs are kept. The suite's last line of output is its tally.

passed=0 failed=0

# tally: the last line, and the exit status, of a suite that counted in passed and failed.
tally()
{
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}

# private_postgres BINDIR ROOT: a PostgreSQL with the extension in ROOT/BINDIR. A copy of its
# directories under another root works as it stands, since its programs find each other relative to
# where they are; DESTDIR then adds the extension to the copy.
private_postgres()
{
	local dir
	for dir in --bindir --sharedir --pkglibdir --pkgincludedir --includedir-server; do
		dir=$("$1/pg_config" $dir)
		mkdir -p "$2$dir"
		cp -RL "$dir/." "$2$dir" 2> /dev/null || true
	done
	make -s -j "$(nproc)" PG_CONFIG="$1/pg_config" all
	make -s PG_CONFIG="$1/pg_config" DESTDIR="$2" install
}

# cluster_start [setting...]: a private cluster behind a socket in a private directory, stopped when
# the script ends. The environment then leads every client to it.
cluster_start()
{
	cluster=$(mktemp -d "$TMPDIR/cluster.XXXXXX")
	trap cluster_stop EXIT
	trap 'exit 1' INT TERM
	initdb -D "$cluster/data" -U postgres -A trust -E UTF8 --locale=C -N > "$cluster/initdb.log" ||
		{ cat "$cluster/initdb.log"; return 1; }
	{
		cat test/postgresql.conf
		echo "unix_socket_directories = '$cluster'"
		printf '%s\n' "$@"
	} >> "$cluster/data/postgresql.conf"
	export PGHOST=$cluster PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	pg_ctl -D "$cluster/data" -l "$cluster/log" -w start > "$cluster/pg_ctl.log" ||
		{ cat "$cluster/pg_ctl.log" "$cluster/log"; return 1; }
}

cluster_stop()
{
	pg_ctl -D "$cluster/data" -w -m fast stop > "$cluster/pg_ctl.log" 2>&1 || true
	cp "$cluster/log" "$OUT/server.log" 2>/dev/null || true
}

# Whatever else a test says, a crash or a failed assertion in the server's log is a failure.
count_crashes()
{
	if grep -E 'TRAP: |PANIC: |was terminated by signal|Sanitizer' "$cluster/log"; then
		failed=$((failed + 1))
	fi
}

# count_pg_regress LOG: output of pg_regress and its isolation twin, in the wording of every version.
count_pg_regress()
{
	passed=$((passed + $(grep -cE '^ok [0-9]|\.\.\. (ok|failed \(ignored\))' "$1" || true)))
	failed=$((failed + $(grep -cE '^not ok [0-9]|\.\.\. FAILED' "$1" || true)))
	grep -qE '^1\.\.[0-9]|tests (passed|failed)' "$1" || failed=$((failed + 1))
}

# installcheck NAME ARGUMENT...: "make installcheck" with these arguments, its results in OUT/NAME.
installcheck()
{
	local out=$OUT/$1
	shift
	mkdir -p "$out"
	make -s installcheck PG_CONFIG="$PG_CONFIG" EXTRA_REGRESS_OPTS="--outputdir=$out" "$@" 2>&1 |
		tee "$out/installcheck.log" || true
	cat "$out/regression.diffs" 2> /dev/null || true
	count_pg_regress "$out/installcheck.log"
}
