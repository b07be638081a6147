# The eraser comes by itself, to each database that needs it, keeps its rate, and is in nobody's way:
# commands that need a database alone, workers that are needed more, sessions. It survives errors,
# signals and restarts. Not an SQL test, because of signals, settings and several databases.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use AuditedNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = audited_node([], "privacy_guard.erase_interval = 1");

# ---- what there is to erase

# Tables of an ordinary owner, whose trigger tells which rows were erased, and when.
my $make_owner = q{
	CREATE TABLE gone (relation text, id bigint, at timestamptz DEFAULT clock_timestamp());
	CREATE FUNCTION note_gone() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.gone (relation, id) VALUES (TG_RELNAME, OLD.id);
		RETURN NULL;
	END $$;
	ALTER TABLE gone OWNER TO keeper;
	ALTER FUNCTION note_gone OWNER TO keeper;
};
$node->safe_psql('postgres', "CREATE ROLE keeper; $make_owner");

my $category = q{subject_category => 'person'};

# So many rows that are past a day, and three that are not.
sub make_table
{
	my ($name, $rows, $database) = @_;
	$node->safe_psql(
		$database // 'postgres', qq{
		CREATE TABLE $name (id bigint PRIMARY KEY, person bigint, seen timestamptz);
		INSERT INTO $name SELECT i, i % 20, now() - interval '2 days' FROM generate_series(1, $rows) i;
		INSERT INTO $name SELECT -i, i, now() FROM generate_series(1, 3) i;
		CREATE INDEX ON $name (seen);
		ALTER TABLE $name OWNER TO keeper;
		CREATE TRIGGER note AFTER DELETE ON $name FOR EACH ROW EXECUTE FUNCTION note_gone();
		SELECT privacy_guard.protect('$name', 'person', $category);
		SELECT privacy_guard.permit('$name', 'care');
	});
	return;
}

sub retain
{
	my ($name, $database) = @_;
	$node->safe_psql(
		$database // 'postgres',
		"SELECT privacy_guard.retain('$name', '1 day', 'seen', effective_from => now())"
	);
	return;
}

sub gone
{
	my ($name, $database) = @_;
	return $node->safe_psql($database // 'postgres',
		"SELECT count(*) FROM gone WHERE relation = '$name' AND id > 0");
}

sub goes
{
	my ($name, $rows, $database) = @_;
	return eventually(sub { gone($name, $database) == $rows });
}

# What is left, in sight or not.
sub left
{
	my ($name) = @_;
	my $rows = $node->safe_psql('postgres',
		"SELECT privacy_guard.break_glass('count'); SELECT count(*) FROM $name"
	);
	return $rows =~ s/\A\s+//r;
}

sub receipts
{
	my ($name) = @_;
	return $node->safe_psql(
		'postgres', qq{
		SELECT coalesce(sum(rows), 0) FROM privacy_guard.audit_log
		 WHERE kind = 'retention' AND operation = 'Erase' AND relation = 'public.$name' AND outcome = 'completed'}
	);
}

sub set
{
	my ($name, $value) = @_;
	$node->append_conf('postgresql.conf', "$name = $value");
	$node->reload;
	return;
}

sub eraser
{
	my ($database) = @_;
	$database //= 'postgres';
	return $node->safe_psql('template1',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'privacy_guard eraser' AND datname = '$database'"
	);
}

# The process of an eraser that is at work, other than this one.
sub comes
{
	my ($database, $not) = @_;
	my $pid = '';
	eventually(
		sub {
			$pid = eraser($database);
			$pid ne '' && $pid ne ($not // '');
		});
	return $pid;
}

sub log_says
{
	my ($pattern, $from) = @_;
	return eventually(
		sub { substr(slurp_file($node->logfile), $from // 0) =~ $pattern });
}

# ---- it comes when it is needed, and goes

is( $node->safe_psql(
		'postgres', 'SELECT privacy_guard_internal.eraser_next_run() IS NULL'
	),
	't',
	'where nothing has a storage duration, no eraser is to come');
make_table('visit', 2500);
retain('visit');
ok(goes('visit', 2500), 'it comes by itself');
is(left('visit'), 3, 'what is not past its time stays');
ok(eventually(sub { receipts('visit') == 2500 }), 'there is a receipt');
is( $node->safe_psql(
		'postgres',
		q{SELECT DISTINCT application_name FROM privacy_guard.audit_log WHERE kind = 'retention' AND operation = 'Erase'}
	),
	'privacy_guard eraser',
	'which names it');
$node->safe_psql(
	'postgres', q{
	BEGIN; SET LOCAL privacy_guard.purpose = 'care';
	INSERT INTO visit SELECT 100000 + i, 1, now() - interval '1 day' + interval '3 s' FROM generate_series(1, 5) i;
	COMMIT});
ok(goes('visit', 2505), 'rows that come later go, too');
is( $node->safe_psql(
		'postgres', 'SELECT privacy_guard_internal.eraser_next_run() IS NULL'
	),
	'f',
	'and it says when it comes next');

# ---- several databases

$node->safe_psql('postgres', 'CREATE DATABASE one');
$node->safe_psql(
	'one', qq{
	CREATE EXTENSION privacy_guard CASCADE;
	SELECT privacy_guard.create_purpose('care', 'contract');
	SELECT privacy_guard.grant_purpose('care', 'postgres');
	$make_owner});
make_table('visit', 1500, 'one');
make_table('twin', 1500);
retain('visit', 'one');
retain('twin');
ok(goes('visit', 1500, 'one') && goes('twin', 1500),
	'each database has its own');

# ---- rate

set('privacy_guard.erase_rate', 400);
make_table('slow', 1600);
retain('slow');
my $pid = comes('postgres');
eventually(sub { gone('slow') > 0 });
is( $node->safe_psql(
		'postgres',
		q{SELECT backend_type, application_name, query FROM pg_stat_activity WHERE backend_type = 'privacy_guard eraser' AND datname = current_database()}
	),
	'privacy_guard eraser|privacy_guard eraser|erase rows of public.slow',
	'pg_stat_activity shows what it does');
like(
	$node->safe_psql(
		'postgres',
		q{SELECT database, table_name, task, phase, rows_done > 0, batches > 0, run_rows >= rows_done FROM privacy_guard.retention_progress WHERE database = current_database()}
	),
	qr/^postgres\|slow\|rows\|(pausing|erasing)\|t\|t\|t$/,
	'retention_progress how far it is');
ok(goes('slow', 1600), 'with a limit to the rate');

# Both ends of a longer run; a batch is 80 rows.
my $rate = $node->safe_psql(
	'postgres', q{
	SELECT round((count(*) - 80) / extract(epoch FROM max(at) - min(at))) FROM gone WHERE relation = 'slow'}
);
cmp_ok($rate, '<=', 440, "it is kept: $rate rows a second");
cmp_ok($rate, '>=', 200, 'and about used');

# ---- commands that need a database alone

set('privacy_guard.erase_rate', 100);
make_table('endless', 30000, 'one');
retain('endless', 'one');
$pid = comes('one');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
pass('CREATE DATABASE from one where it is at work');
isnt(comes('one', $pid), '', 'it comes back');
is( $node->safe_psql(
		'copy', 'SELECT privacy_guard_internal.eraser_next_run() IS NULL'),
	't',
	'but not to the copy, which is to be finished first');
$pid = comes('one');
$node->safe_psql('postgres', 'ALTER DATABASE one RENAME TO first');
isnt(comes('first', $pid), '', 'ALTER DATABASE RENAME');
comes('first');
$node->safe_psql('postgres', 'DROP DATABASE first');
pass('DROP DATABASE');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# ---- signals

make_table('signalled', 20000);
retain('signalled');
eventually(sub { gone('signalled') > 0 });
$pid = comes('postgres');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
isnt(comes('postgres', $pid), '', 'terminated, it comes again');
$pid = comes('postgres');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
my $before = gone('signalled');
ok(eventually(sub { gone('signalled') > $before }), 'cancelled, it goes on');

# It stands still between two batches, or in one.
$pid = comes('postgres');
kill 'STOP', $pid;
$node->safe_psql(
	'postgres', q{
	SET statement_timeout = '20s'; SET lock_timeout = '5s';
	BEGIN; SET LOCAL privacy_guard.purpose = 'care';
	SELECT count(*) FROM signalled; SELECT * FROM signalled WHERE id = -1;
	INSERT INTO signalled VALUES (-10, 1, now());
	UPDATE signalled SET seen = now() WHERE id IN (-1, -10);
	DELETE FROM signalled WHERE id = -10;
	COMMIT;
	VACUUM signalled; ANALYZE signalled});
pass('nobody waits for one that stands still');
kill 'CONT', $pid;

# ---- restarts

for my $mode ('fast', 'immediate')
{
	$before = gone('signalled');
	$node->stop($mode);
	$node->start;
	ok(eventually(sub { gone('signalled') > $before }),
		"after a $mode shutdown it goes on");
}
set('privacy_guard.erase_interval', 0);
ok(eventually(sub { eraser() eq '' }), 'erase_interval = 0 sends it away');
$before = gone('signalled');
cmp_ok($before, '<', 20000, 'before all is done');
set('privacy_guard.erase_rate', 0);
set('privacy_guard.erase_interval', 1);
ok(goes('signalled', 20000), 'and another calls it back');
is(left('signalled'), 3, 'in the end what was due is gone, and nothing else');
ok( eventually(sub { receipts('signalled') == 20000 }),
	'and the receipts say so, over all interruptions');

# ---- errors

# Of one row or of the server, as far as the eraser can tell.
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		RAISE EXCEPTION 'secret value %', OLD.id + 4711000 USING ERRCODE = TG_ARGV[0];
	END $$;
	ALTER FUNCTION refuse OWNER TO keeper});
my %errors = (stubborn => 'P0001', failing => '54000');
for my $name ('stubborn', 'failing', 'willing')
{
	make_table($name, 10);
	$node->safe_psql('postgres',
		"CREATE TRIGGER refuse BEFORE DELETE ON $name FOR EACH ROW EXECUTE FUNCTION refuse('$errors{$name}')"
	) if $errors{$name};
	retain($name);
}
ok(goes('willing', 10), 'an error in one table does not stop the others');

sub status
{
	my ($name, $columns) = @_;
	return $node->safe_psql('postgres',
		"SELECT $columns FROM privacy_guard.retention_status WHERE table_name = '$name'::regclass"
	);
}
ok( eventually(
		sub { status('failing', 'failures > 0, last_sqlstate') eq 't|54000' }
	),
	'it is on display');
ok(eventually(sub { status('stubborn', 'blocked') eq '10' }),
	'rows that cannot be erased, too');
ok(log_says(qr/could not erase rows of public\.failing: .*54000/),
	'and the error in the log');
unlike(slurp_file($node->logfile), qr/47110(0[1-9]|10)/, 'without the value');
$node->safe_psql('postgres', "DROP TRIGGER refuse ON $_") for keys %errors;
ok(goes($_, 10), "it is tried again: $_") for keys %errors;

# ---- others' code: as the owner, and with nothing left over

make_table('sly', 10);
make_table('honest', 10);
$node->safe_psql(
	'postgres', q{
	CREATE TABLE ran (relation text, as_whom name, lock_timeout text);
	ALTER TABLE ran OWNER TO keeper;
	CREATE FUNCTION note_ran() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.ran VALUES (TG_RELNAME, current_user, current_setting('lock_timeout'));
		SET lock_timeout = '1h';
		RETURN NULL;
	END $$;
	ALTER FUNCTION note_ran OWNER TO keeper;
	CREATE CONSTRAINT TRIGGER ran AFTER DELETE ON sly DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION note_ran();
	CREATE TRIGGER ran AFTER DELETE ON honest EXECUTE FUNCTION note_ran()});
retain('sly');
ok(goes('sly', 10), 'a table with deferred triggers');
retain('honest');
ok(goes('honest', 10), 'and another');
is($node->safe_psql('postgres', q{SELECT DISTINCT as_whom FROM ran}),
	'keeper', 'triggers run as the owner, deferred ones too');
is( $node->safe_psql(
		'postgres',
		q{SELECT DISTINCT lock_timeout FROM ran WHERE relation = 'honest'}),
	'1s',
	'what they set ends with the statement');

# ---- no worker slots

make_table('patient', 5000);
$node->append_conf('postgresql.conf', 'privacy_guard.erase_rate = 20');
$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
my $offset = -s $node->logfile;
$node->restart;
retain('patient');
ok( log_says(
		qr/no slot is free for the eraser of database "postgres"/, $offset),
	'without a slot the log says so');
is( $node->safe_psql(
		'postgres',
		q{BEGIN; SET LOCAL privacy_guard.purpose = 'care'; SELECT count(*) FROM patient}
	),
	3,
	'what is due is hidden');
$node->append_conf('postgresql.conf', 'max_worker_processes = 4');
$node->restart;
ok(eventually(sub { gone('patient') > 0 }), 'with one it comes');
$offset = -s $node->logfile;
$node->safe_psql('postgres', 'CREATE DATABASE two');
$node->safe_psql(
	'two', qq{
	CREATE EXTENSION privacy_guard CASCADE;
	SELECT privacy_guard.create_purpose('care', 'contract');
	SELECT privacy_guard.grant_purpose('care', 'postgres');
	CREATE TABLE person (id bigint PRIMARY KEY);
	SELECT privacy_guard.protect('person', 'id', $category);
	SELECT privacy_guard.permit('person', 'care');
	BEGIN; SET LOCAL privacy_guard.purpose = 'care';
	SELECT count(*) FROM person});
pass('and leaves it to an audit writer who needs it');
is(eraser(), '', 'as long as that is there');

$node->stop;
unlike(
	slurp_file($node->logfile),
	qr/PANIC|TRAP|terminated by signal (?!9)/,
	'nothing crashed');
done_testing();
