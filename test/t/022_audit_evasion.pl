# Whose rows left the scans is on record once, and how it ended: also of statements that somebody or
# something stops, of cursors, subtransactions and workers.
# Not an SQL test, because it takes several clients, some of which are killed.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use AuditedNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = audited_node(
	[],
	'max_prepared_transactions = 2',
	"privacy_guard.audit_timeout = '60s'",
	"privacy_guard.audit_durability = "
	  . ($ENV{PRIVACY_GUARD_DURABILITY} // 'transaction'));

# A client that does this and nothing else.
my $n = 0;

sub records_of
{
	my ($sql) = @_;
	my $client = client('client' . ++$n);
	say_to($client, $sql);
	my $said = wait_for($client);
	note $said if $said ne '';
	return on_record($client->{name});
}

# A client that hangs at row 5 of person, until this is done to it.
my $hang = 'SELECT CASE WHEN id = 5 THEN pg_sleep(600) END FROM person;';

sub records_of_hanging
{
	my ($sql, $deed) = @_;
	my $client = client('client' . ++$n);
	say_to($client, $sql);
	my $backend = backend_of($client->{name}, 'PgSleep');
	$deed->($backend, $client);
	wait_for($client);
	eventually(sub { not kill 0, $backend });
	return on_record($client->{name});
}

sub call
{
	my ($function) = @_;
	return sub { $node->safe_psql('template1', "SELECT $function($_[0])") };
}

# ---- statements that are stopped

is( records_of("SET statement_timeout = '300ms'; $hang"),
	'Access public.person {1 2 3 4 5} cancelled 57014',
	'statement_timeout in a scan');
is( records_of_hanging($hang, call('pg_cancel_backend')),
	'Access public.person {1 2 3 4 5} cancelled 57014',
	'pg_cancel_backend in a scan');
is( records_of_hanging($hang, call('pg_terminate_backend')),
	'Access public.person {1 2 3 4 5} cancelled',
	'pg_terminate_backend in a scan');
my $cursor =
  'BEGIN; DECLARE c CURSOR FOR SELECT id FROM person; FETCH 2 FROM c;';
is( records_of_hanging(
		"$cursor SELECT pg_sleep(600);",
		call('pg_terminate_backend')),
	'Access public.person {1 2} cancelled',
	'pg_terminate_backend with an open cursor');
is( records_of(
		"SET idle_in_transaction_session_timeout = 100; $cursor\n\\! sleep 1"
	),
	'Access public.person {1 2} cancelled',
	'idle_in_transaction_session_timeout with an open cursor');
is( records_of($cursor),
	'Access public.person {1 2} cancelled',
	'a client that leaves with an open cursor');
is( records_of("$cursor ROLLBACK;"),
	'Access public.person {1 2} rolled_back',
	'a cursor rolled back');
is( records_of("$cursor COMMIT;"),
	'Access public.person {1 2} completed',
	'a cursor that was not read to its end');
is( records_of('COPY (SELECT id, 1 / (id - 6) FROM person) TO STDOUT;'),
	'Access public.person {1 2 3 4 5 6} failed 22012',
	'COPY TO that fails on the way');
is( records_of_hanging(
		"COPY (SELECT CASE WHEN id = 5 THEN pg_sleep(600)::text ELSE name END FROM person) TO STDOUT;",
		call('pg_cancel_backend')),
	'Access public.person {1 2 3 4 5} cancelled 57014',
	'COPY TO that is cancelled');

# The client is killed while rows stream to it; how many were under way is the kernel's business.
for my $statement ('SELECT id, %s FROM person ORDER BY id;',
	'COPY (SELECT id, %s FROM person ORDER BY id) TO STDOUT;')
{
	my $client = client('client' . ++$n);
	backend_of($client->{name}, 'idle');
	say_to($client,
		'\set FETCH_COUNT 0' . "\nSELECT 1;\n" . 'SELECT pg_sleep(1);');
	my $backend = backend_of($client->{name}, 'PgSleep');
	say_to($client, sprintf $statement, q{repeat('x', 3000000)});
	kill 'STOP', $client->{pid};
	kill 'KILL', $client->{pid};
	wait_for($client);
	eventually(sub { not kill 0, $backend });
	is(on_record($client->{name}),
		'', 'a statement that was never sent is not on record');

	$client = client('client' . ++$n);
	# What it has received it prints nowhere until it is through, and then there is nobody to read.
	$backend = backend_of($client->{name}, 'idle');
	say_to(
		$client,
		"\\o | sleep 600\n" . sprintf $statement,
		q{repeat('x', 3000000)});
	eventually(sub { last_query($backend) =~ /person/ });
	eventually(sub { backend_of($client->{name}, 'ClientWrite') })
	  if $statement =~ /COPY/;
	kill 'KILL', $client->{pid};
	wait_for($client);
	eventually(sub { not kill 0, $backend });
	my $said = on_record($client->{name});
	my ($keys, $outcome) =
	  $said =~ /^Access public.person \{([0-9 ]*)\} (.*)$/;
	is( $keys,
		join(' ', 1 .. ($keys =~ tr/ // + 1)),
		'a client gone: the first rows');
	like(
		$outcome,
		qr/^(cancelled|completed|failed 08006)$/,
		'and how it ended');
}

# ---- the server stops

sub after_shutdown
{
	my ($mode) = @_;
	return records_of_hanging(
		$hang,
		sub {
			$node->stop($mode);
			$node->start;
		});
}
is( after_shutdown('fast'),
	'Access public.person {1 2 3 4 5} cancelled',
	'a fast shutdown in a scan');
is(after_shutdown('immediate'), '',
	'an immediate shutdown is a crash: nobody was told that the statement ended'
);
is( $node->safe_psql(
		'postgres', q{
		SELECT reason FROM privacy_guard.audit_log WHERE kind = 'writer' AND operation = 'gap' ORDER BY leaf_index DESC LIMIT 1}
	),
	'crash',
	'and a gap is on record');

# ---- subtransactions

is( records_of(
		'BEGIN; SELECT name FROM person WHERE id = 1; SAVEPOINT a; SELECT name FROM person WHERE id = 2;
		 ROLLBACK TO a; SELECT name FROM person WHERE id = 3; RELEASE a; COMMIT;'
	),
	'Access public.person {1} completed
Access public.person {2} rolled_back
Access public.person {3} completed',
	'savepoints');
is( records_of(
		'BEGIN; DECLARE c CURSOR FOR SELECT id FROM person; SAVEPOINT a; FETCH 2 FROM c; ROLLBACK TO a;
		 FETCH 3 FROM c; SAVEPOINT b; CLOSE c; ROLLBACK TO b; COMMIT;'),
	'Access public.person {1 2 3 4 5} completed',
	'a cursor outlives the subtransaction that it was first fetched in');
is( records_of(
		'BEGIN; SAVEPOINT a; DECLARE c CURSOR FOR SELECT id FROM person; RELEASE a; SAVEPOINT b; FETCH 2 FROM c;
		 ROLLBACK TO b; FETCH 1 FROM c; ROLLBACK;'),
	'Access public.person {1 2 3} rolled_back',
	'also one that was opened in one');
is( records_of(
		'BEGIN; SAVEPOINT a; DECLARE c CURSOR FOR SELECT id FROM person; FETCH 2 FROM c; ROLLBACK TO a;
		 FETCH 1 FROM c; ROLLBACK TO a; COMMIT;'),
	'Access public.person {1 2} rolled_back',
	'and goes with the one that it was opened in');
is( records_of(
		'BEGIN; DECLARE c CURSOR FOR SELECT 1 / (id - 3) FROM person; SAVEPOINT a; FETCH 2 FROM c; FETCH 2 FROM c;
		 ROLLBACK TO a; SELECT name FROM person WHERE id = 9; COMMIT;'),
	'Access public.person {1 2 3} failed 22012
Access public.person {9} completed',
	'a cursor that failed in one');
my $early =
  'DO $$ BEGIN FOR i IN 1..70 LOOP PERFORM FROM person WHERE id = 7; END LOOP; END $$;';
is( records_of(
		"BEGIN; DECLARE c CURSOR FOR SELECT id FROM person; SAVEPOINT a; $early FETCH 2 FROM c; $early ROLLBACK TO a;
		 FETCH 1 FROM c; CLOSE c; COMMIT;"),
	join("\n",
		'Access public.person {1 2 3} completed',
		('Access public.person {7} rolled_back') x 140),
	'what was said early is rolled back, but not the cursor between');
is( records_of("BEGIN; $early ROLLBACK;"),
	join("\n", ('Access public.person {7} rolled_back') x 70),
	'many statements, rolled back');
is( records_of("BEGIN; $early COMMIT;"),
	join("\n", ('Access public.person {7} completed') x 70),
	'many statements, committed');
is( records_of(
		"BEGIN; SAVEPOINT a; $early RELEASE a; $early SAVEPOINT b; $early ROLLBACK TO b; COMMIT;"
	),
	join("\n",
		('Access public.person {7} completed') x 140,
		('Access public.person {7} rolled_back') x 70),
	'many statements, some rolled back');

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION tries(n int, depth int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE caught int := 0;
	BEGIN
		FOR i IN 1..n LOOP
			BEGIN
				IF depth > 1 THEN
					caught := caught + tries(n, depth - 1);
					RAISE division_by_zero;
				END IF;
				PERFORM FROM person WHERE id = i AND 1 / (id - i) > 0;
			EXCEPTION WHEN OTHERS THEN caught := caught + 1;
			END;
		END LOOP;
		RETURN caught;
	END $$;
	CREATE FUNCTION refusals(n int, depth int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE caught int := 0;
	BEGIN
		PERFORM set_config('privacy_guard.purpose', '', true);
		FOR i IN 1..n LOOP
			BEGIN
				caught := caught + CASE WHEN depth > 1 THEN refusals(n, depth - 1) ELSE 0 END;
				PERFORM FROM person;
			EXCEPTION WHEN insufficient_privilege THEN caught := caught + 1;
			END;
		END LOOP;
		RETURN caught;
	END $$;
});
is( records_of('SELECT tries(2, 2);'),
	join("\n",
		'Access public.person {1} failed 22012',
		'Access public.person {2} failed 22012',
		'Access public.person {1} failed 22012',
		'Access public.person {2} failed 22012'),
	'errors that a function catches');

my $client = client('refused');
say_to($client, 'SELECT refusals(100, 1); SELECT refusals(9, 2);');
like(wait_for($client), qr/^100\n90$/m, 'refusals that a function catches');
is(denials_of('refused'), 'no_purpose 190', 'are counted');
$client = client('refused_and_gone');
say_to($client, 'BEGIN; SELECT refusals(100, 1); SELECT pg_sleep(600);');
call('pg_terminate_backend')->(backend_of('refused_and_gone', 'PgSleep'));
wait_for($client);
is( denials_of('refused_and_gone'),
	'no_purpose 100',
	'also when the session is terminated');

# ---- writing

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE division_by_zero; END $$;
	CREATE TRIGGER zz_fails AFTER UPDATE ON person FOR EACH ROW WHEN (NEW.name = 'fail') EXECUTE FUNCTION fails();
	CREATE TRIGGER fails_before BEFORE UPDATE ON person FOR EACH ROW WHEN (NEW.name = 'stop') EXECUTE FUNCTION fails();
	CREATE TABLE plain (id bigint);
	CREATE FUNCTION looks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM person WHERE id = NEW.id; RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER looks AFTER INSERT ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION looks();
});
is( records_of(q{UPDATE person SET name = 'fail' WHERE id IN (2, 3);}),
	'Modify public.person {2 3} failed 22012',
	'an error in an AFTER trigger');
is( records_of(q{UPDATE person SET name = 'stop' WHERE id IN (2, 3);}),
	'Modify public.person {2} failed 22012',
	'in a BEFORE trigger');
is( records_of('BEGIN; INSERT INTO plain VALUES (4), (5); COMMIT;'),
	"Access public.person {4} completed\nAccess public.person {5} completed",
	'deferred triggers');
is( records_of(
		'SET session_replication_role = replica; SELECT name FROM person WHERE id = 1;
		 INSERT INTO person VALUES (21); DELETE FROM person WHERE id = 21;'),
	'Access public.person {1} completed
Collect public.person {21} completed
Erase public.person {21} completed',
	'session_replication_role');
is( records_of("COPY person (id) FROM STDIN;\n31\n32\n33x\n\\."),
	'Collect public.person {} failed 22P02',
	'COPY FROM that fails');
is( records_of(
		q{BEGIN; UPDATE person SET name = 'q' WHERE id = 1; PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p';}
	),
	'Modify public.person {1} completed',
	'PREPARE TRANSACTION is the end of what it saw');

sub waits_for_lock
{
	my ($sql, $meanwhile) = @_;
	my $holder = $node->background_psql('postgres', on_error_stop => 0);
	$holder->query_safe(
		"BEGIN; SET LOCAL privacy_guard.purpose = 'care'; $meanwhile");
	my $client = client('client' . ++$n);
	say_to($client, $sql);
	backend_of($client->{name}, 'transactionid');
	$holder->query_safe('COMMIT');
	$holder->quit;
	note wait_for($client);
	return on_record($client->{name});
}
is( waits_for_lock(
		q{UPDATE person SET name = name || '!' WHERE id IN (9, 10);},
		q{UPDATE person SET name = 'x' WHERE id = 10}),
	'Modify public.person {9 10} completed',
	'a concurrent UPDATE');
is( waits_for_lock(
		q{UPDATE person SET name = name || '!' WHERE id IN (9, 10);},
		q{UPDATE person SET id = 110 WHERE id = 10}),
	'Modify public.person {9 10} completed',
	'one that takes the row away');
is( waits_for_lock(
		q{SELECT name FROM person WHERE name = 'p11' FOR UPDATE;},
		q{UPDATE person SET id = 111 WHERE id = 11}),
	'Access public.person {11 111} completed',
	'one that makes it another subject\'s');
is( waits_for_lock(
		q{INSERT INTO person VALUES (12, 'n') ON CONFLICT (id) DO UPDATE SET name = 'n';},
		q{UPDATE person SET name = 'x' WHERE id = 12}),
	'Modify public.person {12} completed',
	'ON CONFLICT that waits');

# ---- subjects that nobody has a number for, of several columns and kinds

$node->safe_psql(
	'postgres', q{
	CREATE TABLE letter (id bigint PRIMARY KEY, person bigint REFERENCES person);
	INSERT INTO letter SELECT i, 1 + i % 3 FROM generate_series(1, 9) i;
	SELECT privacy_guard.protect('letter', subject_via => 'person');
	CREATE TABLE meeting (host int, guest smallint);
	INSERT INTO meeting VALUES (1, 501), (502, 501), (3, NULL);
	SELECT privacy_guard.protect('meeting', subject_columns => '{host,guest}', subject_category => 'person', null_subject => 'show');
	CREATE TABLE device (owner uuid, n int);
	INSERT INTO device SELECT ('00000000-0000-4000-8000-00000000000' || i)::uuid, i FROM generate_series(1, 9) i;
	SELECT privacy_guard.protect('device', 'owner', subject_category => 'device');
	CREATE TABLE account (owner text, n int);
	INSERT INTO account SELECT 'a' || i, i FROM generate_series(1, 9) i;
	INSERT INTO account VALUES (repeat('long', 20000), 10);
	SELECT privacy_guard.protect('account', 'owner', subject_category => 'account');
	CREATE TABLE counted (id bigint);
	INSERT INTO counted VALUES (1), (2);
	SELECT privacy_guard.protect('counted', 'id', subject_category => 'person', audit_level => 'statement');
	CREATE TABLE uncounted (id bigint);
	INSERT INTO uncounted VALUES (1), (2);
	SELECT privacy_guard.protect('uncounted', 'id', subject_category => 'person', audit_level => 'none');
	SELECT privacy_guard.permit(t::regclass, 'care') FROM unnest('{letter,meeting,device,account,counted,uncounted}'::text[]) t;
});
is( records_of('SELECT id FROM letter WHERE id IN (1, 2, 4);'),
	'Access public.letter {2 3} completed',
	'through a foreign key');
is( records_of('SELECT * FROM meeting;'),
	'Access public.meeting {1 3 501 502} completed',
	'several columns');
is( records_of('SELECT n FROM device WHERE n IN (3, 5);'),
	'Access public.device {00000000-0000-4000-8000-000000000003 00000000-0000-4000-8000-000000000005} completed',
	'uuid');
is(records_of('SELECT n FROM account WHERE n IN (3, 5, 3);'),
	'Access public.account {a3 a5} completed', 'text');
is( records_of(
		'SELECT count(*) FROM counted; SELECT count(*) FROM uncounted;'),
	'Access public.counted {} completed',
	'audit levels');

# ---- whoever is not judged is recorded

is( records_of(
		q{SELECT privacy_guard.break_glass('repair'); SELECT id FROM person WHERE id < 3; SELECT n FROM device WHERE n = 1;}
	),
	'Access public.person {1 2} completed break_glass
Access public.device {00000000-0000-4000-8000-000000000001} completed break_glass',
	'break-glass');
$node->safe_psql('postgres',
	q{SELECT privacy_guard.drop_rule('person', 'care'); SELECT privacy_guard.set_mode('person', 'monitor')}
);
is( records_of('SELECT id FROM person WHERE id < 3;'),
	'Access public.person {1 2} completed monitor',
	'monitor mode');
$node->safe_psql('postgres',
	q{SELECT privacy_guard.set_mode('person', 'enforce'); SELECT privacy_guard.permit('person', 'care')}
);
$node->safe_psql('postgres',
	q{CREATE ROLE dumper LOGIN SUPERUSER; SELECT privacy_guard.exempt_role('dumper', 'dumps')}
);
for my $kind ('--format=plain', '--inserts')
{
	my $name = 'dump' . ++$n;
	$node->command_ok(
		[
			'pg_dump', '-U', 'dumper', $kind, '-t', 'person', '-t', 'meeting',
			'-d', $node->connstr('postgres') . " application_name=$name",
			'-f', PostgreSQL::Test::Utils::tempdir . "/$name"
		],
		"pg_dump $kind by an exempt role");
	my $all = $node->safe_psql(
		'postgres',
		q{SELECT privacy_guard.break_glass('all') \g /dev/null
		  SELECT string_agg(id::text, ' ' ORDER BY length(id::text), id) FROM person}
	);
	is( join("\n", sort split /\n/, on_record($name)),
		"Access public.meeting {1 3 501 502} rolled_back exempt_role\nAccess public.person {$all} rolled_back exempt_role",
		'is on record with all subjects; it never commits');
}

# ---- many rows

$node->safe_psql(
	'postgres', q{
	CREATE TABLE many (id bigint, part int);
	INSERT INTO many SELECT 1000000 + i, i % 5 FROM generate_series(1, 250000) i;
	ANALYZE many;
	SELECT privacy_guard.protect('many', 'id', subject_category => 'many');
	SELECT privacy_guard.permit('many', 'care');
});
my $parallel =
  'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;';

# Rows, subjects, and subjects whose rows do or do not fulfil a condition.
sub many_of
{
	my ($sql, $condition) = @_;
	my $client = client('client' . ++$n);
	say_to($client, $sql);
	my $said = wait_for($client);
	note $said if length $said < 1000;
	$client->{said} = $said;
	return $node->safe_psql(
		'postgres', qq{
		SELECT privacy_guard.break_glass('compare') \\g /dev/null
		WITH r AS (SELECT sum(rows) AS rows, privacy_guard.subject_set_union(subjects) AS subjects,
		                  count(*) FILTER (WHERE outcome <> 'open') AS ends, max(outcome) FILTER (WHERE outcome <> 'open') AS outcome
		             FROM privacy_guard.audit_log WHERE application_name = '$client->{name}' AND kind = 'access'),
		     s AS (SELECT s.subject, s.key::bigint AS id FROM privacy_guard.subject_state s
		            WHERE s.key LIKE '1______' AND r_has(s.subject, (SELECT subjects FROM r)))
		SELECT r.rows, privacy_guard.cardinality(r.subjects), count(*) FILTER (WHERE $condition),
		       count(*) FILTER (WHERE NOT ($condition)), r.ends, r.outcome
		  FROM r, s JOIN many USING (id) GROUP BY 1, 2, r.ends, r.outcome});
}
$node->safe_psql(
	'postgres',
	q{CREATE FUNCTION r_has(bigint, privacy_guard.subject_set) RETURNS bool LANGUAGE sql
	  AS 'SELECT $2 OPERATOR(privacy_guard.@>) $1'});
is( many_of('SELECT count(*) FROM many WHERE part > 0;', 'part > 0'),
	'200000|200000|200000|0|1|completed',
	'most of a large table, nobody of whom has a number');
is( many_of(
		"$parallel SELECT count(*) FROM many WHERE part < 4;", 'part < 4'),
	'200000|200000|200000|0|1|completed',
	'in parallel, half of them have');
is( many_of('SELECT count(*) FROM many WHERE part > 0;', 'part > 0'),
	'200000|200000|200000|0|1|completed',
	'all of them have');
like(
	many_of(
		"$parallel SELECT id FROM many WHERE part = 3 LIMIT 10;",
		'part = 3'),
	qr/^(\d+)\|\1\|\1\|0\|1\|completed$/,
	'LIMIT stops workers');
like(
	many_of(
		"$parallel SELECT count(1 / (id - 1100003)) FROM many WHERE part = 3;",
		'part = 3'),
	qr/^(\d+)\|\1\|\1\|0\|1\|failed$/,
	'an error stops workers');

is(log_is_sound(), '', 'the log is sound');
nothing_crashed($node);
done_testing();
