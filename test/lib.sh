# shellcheck shell=bash
# What the suites share. A suite is test/NAME/run; test/run starts it in a copy of the tree that the
# unprivileged user owns, with PG_CONFIG naming a private PostgreSQL that has the extension installed,
# its programs first in PATH, TMPDIR on a directory that goes when the run ends, and OUT on one where
# logs are kept. The suite's last line of output is its tally.

tally()
{
	echo "$1 passed, $2 failed"
	[ "$2" -eq 0 ]
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

# cluster_crashes: prints what the server log tells of crashes and failed assertions; true if none.
cluster_crashes()
{
	! grep -E 'TRAP: |PANIC: |was terminated by signal|Sanitizer' "$cluster/log"
}

# pg_regress_tally LOG: of pg_regress and its isolation twin, in the wording of every version.
pg_regress_tally()
{
	local passed failed
	passed=$(grep -cE '^ok [0-9]|\.\.\. (ok|failed \(ignored\))' "$1" || true)
	failed=$(grep -cE '^not ok [0-9]|\.\.\. FAILED' "$1" || true)
	cluster_crashes || failed=$((failed + 1))
	tally "$passed" "$failed"
}

# installcheck VARIABLE...: the tests of one kind against the cluster, through the Makefile.
installcheck()
{
	local log=$OUT/installcheck.log
	make -s installcheck PG_CONFIG="$PG_CONFIG" EXTRA_REGRESS_OPTS="--outputdir=$OUT" "$@" 2>&1 |
		tee "$log" || true
	cat "$OUT/regression.diffs" 2>/dev/null || true
	pg_regress_tally "$log"
}
