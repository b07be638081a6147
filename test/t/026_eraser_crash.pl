# Whatever is killed while rows are erased, and when: each row is either there or gone, once, and the
# receipts in the audit log, those of interrupted runs included, name exactly the rows that are gone.
# PRIVACY_GUARD_CRASH_ROUNDS says how often; not an SQL test, because processes are killed.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use AuditedNode;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = $ENV{PRIVACY_GUARD_CRASH_ROUNDS} || 6;
my $rows = 3000;

my $node = audited_node(
	[],
	"privacy_guard.audit_timeout = '60s'",
	'privacy_guard.erase_interval = 1',
	'privacy_guard.erase_batch_size = 100',
	'privacy_guard.erase_rate = 1500');

# Each row is about a person of its own. Triggers note in the same transaction what comes and goes.
$node->safe_psql(
	'postgres', q{
	CREATE ROLE keeper;
	CREATE TABLE made (relation text, id bigint);
	CREATE TABLE gone (relation text, id bigint);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF TG_OP = 'INSERT' THEN
			INSERT INTO public.made VALUES (TG_RELNAME, NEW.id);
		ELSE
			INSERT INTO public.gone VALUES (TG_RELNAME, OLD.id);
		END IF;
		RETURN NULL;
	END $$;
	ALTER TABLE made OWNER TO keeper;
	ALTER TABLE gone OWNER TO keeper;
	ALTER FUNCTION note OWNER TO keeper});

# Reading the rows gives the persons the numbers by which the receipts name them.
sub make_table
{
	my ($name) = @_;
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE $name (id bigint PRIMARY KEY, seen timestamptz);
		CREATE TRIGGER note AFTER INSERT OR DELETE ON $name FOR EACH ROW EXECUTE FUNCTION note();
		INSERT INTO $name SELECT i, now() - interval '2 days' FROM generate_series(1, $rows) i;
		CREATE INDEX ON $name (seen);
		ALTER TABLE $name OWNER TO keeper;
		SELECT privacy_guard.protect('$name', 'id', subject_category => '$name');
		SELECT privacy_guard.permit('$name', 'care');
		BEGIN;
		SET LOCAL privacy_guard.purpose = 'care';
		SELECT count(*) FROM $name;
		COMMIT;
		SELECT privacy_guard.retain('$name', '1 day', 'seen', effective_from => now());
	});
	return;
}

# A client whose rows end soon after they came.
sub start_client
{
	my ($name, $i) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . "/$name$i.sql";
	append_to_file(
		$file,
		join '',
		map {
			my $id = 100_000 * $i + $_;
			"BEGIN; SET LOCAL privacy_guard.purpose = 'care';
			 INSERT INTO $name VALUES ($id, now() - interval '1 day' + interval '500 ms'); SELECT FROM $name WHERE id = $id; COMMIT;\n"
		} (1 .. 2000));
	return client("$name$i", '-v', 'ON_ERROR_STOP=1', '-f', $file);
}

# ---- the deed

sub process
{
	my ($where) = @_;
	return $node->safe_psql('template1',
		"SELECT pid FROM pg_stat_activity WHERE $where ORDER BY random() LIMIT 1"
	);
}

my %kill = (
	eraser => sub {
		my $pid = '';
		eventually(
			sub {
				$pid = process(
					"backend_type = 'privacy_guard eraser' AND datname = 'postgres'"
				);
				$pid ne '';
			});
		kill 'KILL', $pid;
	},
	backend => sub { kill 'KILL', process("application_name ~ '^shop'") },
	writer => sub {
		kill 'KILL',
		  process(
			"backend_type = 'privacy_guard audit writer' AND datname = 'postgres'"
		  );
	},
	postmaster => sub { $node->kill9 });

sub restart_killed
{
	# What is left of the old server may be there for a moment.
	return eventually(
		sub {
			$node->start(fail_ok => 1) && return 1;
			$node->stop('fast', fail_ok => 1);
			return 0;
		});
}

sub wait_for_server
{
	return eventually(
		sub {
			(eval { $node->safe_psql('postgres', 'SELECT 1') } // '') eq '1';
		});
}

# ---- what must be so

# The rows that are there, in sight or not, and those that came and went.
sub strays
{
	my ($name) = @_;
	return $node->safe_psql(
		'postgres', qq{
		SELECT privacy_guard.break_glass('count') \\g /dev/null
		SELECT 'neither there nor gone: ' || count(*) FROM made m WHERE relation = '$name'
		   AND NOT EXISTS (SELECT FROM $name t WHERE t.id = m.id)
		   AND NOT EXISTS (SELECT FROM gone g WHERE g.relation = '$name' AND g.id = m.id) HAVING count(*) > 0;
		SELECT 'there and gone: ' || count(*) FROM $name t
		  JOIN gone g ON g.relation = '$name' AND g.id = t.id HAVING count(*) > 0;
		SELECT 'gone twice: ' || id FROM gone WHERE relation = '$name' GROUP BY id HAVING count(*) > 1;
	});
}

# What the receipts say, compared with what is gone.
sub discrepancies
{
	my ($name) = @_;
	return $node->safe_psql(
		'postgres', qq{
		CREATE TEMP TABLE receipt AS SELECT object, rows, subjects FROM privacy_guard.audit_log
		 WHERE kind = 'retention' AND operation = 'Erase' AND relation = 'public.$name' AND outcome = 'completed';
		SELECT 'two receipts: ' || object FROM receipt GROUP BY object HAVING count(*) > 1;
		SELECT concat_ws(' ', 'rows by receipts:', r.n, 'gone:', g.n)
		  FROM (SELECT sum(rows) AS n FROM receipt) r, (SELECT count(*) AS n FROM gone WHERE relation = '$name') g
		 WHERE r.n IS DISTINCT FROM g.n;
		SELECT concat_ws(' ', 'not the same persons:', b.key, g.id)
		  FROM (SELECT s.key FROM privacy_guard.subject_state s JOIN privacy_guard.subject_category c USING (category_id)
		          JOIN (SELECT privacy_guard.subject_set_union(subjects) AS subjects FROM receipt) r
		            ON r.subjects OPERATOR(privacy_guard.\@>) s.subject
		         WHERE c.name = '$name') b
		  FULL JOIN (SELECT id::text FROM gone WHERE relation = '$name') g ON g.id = b.key
		 WHERE b.key IS NULL OR g.id IS NULL LIMIT 3;
	});
}

sub all_done
{
	my ($name) = @_;
	return eventually(
		sub {
			$node->safe_psql(
				'postgres', qq{
				SELECT count(*) FROM made m WHERE relation = '$name'
				   AND NOT EXISTS (SELECT FROM gone g WHERE g.relation = '$name' AND g.id = m.id)}
			) eq '0';
		});
}

# ---- rounds

for my $round (1 .. $rounds)
{
	my $victim = ('postmaster', 'eraser', 'backend', 'writer')[ $round % 4 ];
	my $name = "shop$round";
	note "round $round: $victim";
	make_table($name);
	my @clients = map { start_client($name, $_) } (1, 2);
	usleep(rand 2_000_000);
	$kill{$victim}->();
	wait_for($_) for @clients;
	restart_killed() if $victim eq 'postmaster';
	ok(wait_for_server(),
		"round $round: the server is back after its $victim was killed");
	is(strays($name), '', 'each row is either there or gone, once');
	ok(all_done($name), 'in the end all that is due is gone');
	ok( eventually(sub { discrepancies($name) eq '' }),
		'and the receipts name exactly these') or diag discrepancies($name);
	is(strays($name), '', 'once');
	is(log_is_sound(), '', 'the log is sound');
}

$node->stop;
unlike(
	slurp_file($node->logfile),
	qr/PANIC|TRAP|terminated by signal (?!9)/,
	'nothing else crashed');
done_testing();
