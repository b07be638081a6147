# The audit writers and their launcher: who starts and stops, what they say of it in the log, who waits
# for whom, and which commands make them step aside.
# Not an SQL test, because it restarts and crashes the server and stops processes.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use AuditedNode qw(eventually nothing_crashed);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $library = "shared_preload_libraries = 'privacy_guard'";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => ["--username=postgres"]);
$node->append_conf('postgresql.conf',
	"$library\nrestart_after_crash = on\nmax_worker_processes = 16\nprivacy_guard.audit_timeout = '20s'"
);
$node->start;

# A statement that must be on record before it is reported ended.
my $access =
  q{BEGIN; SET LOCAL privacy_guard.purpose = 'care'; SELECT count(*) FROM customer; COMMIT};

sub guard
{
	my ($database) = @_;
	$node->safe_psql(
		$database, q{
		CREATE EXTENSION privacy_guard CASCADE;
		CREATE TABLE customer (id bigint PRIMARY KEY);
		INSERT INTO customer SELECT generate_series(1, 3);
		SELECT privacy_guard.create_purpose('care', 'contract');
		SELECT privacy_guard.protect('customer', 'id');
		SELECT privacy_guard.permit('customer', 'care');
		SELECT privacy_guard.grant_purpose('care', 'postgres');
	});
	return;
}

sub writer
{
	my ($database) = @_;
	return $node->safe_psql(
		'template1', qq{
		SELECT pid FROM pg_stat_activity
		 WHERE datname = '$database' AND backend_type = 'privacy_guard audit writer'}
	);
}

# A writer other than this one.
sub comes
{
	my ($database, $other) = @_;
	my $pid = '';
	eventually(sub { $pid = writer($database); $pid ne '' && $pid ne $other }
	);
	return $pid;
}

# What the writers of a database said of themselves, the latest last.
sub words
{
	my ($database, $n) = @_;
	return $node->safe_psql(
		$database, qq{
		SELECT string_agg(operation || ': ' || reason, ', ' ORDER BY leaf_index)
		  FROM (SELECT * FROM privacy_guard.audit_log WHERE kind = 'writer'
		         ORDER BY leaf_index DESC LIMIT $n) w});
}

# The time that a command takes, and what it says.
sub timed
{
	my ($database, $sql) = @_;
	my $before = time;
	my ($result, $stdout, $stderr) = $node->psql($database, $sql);
	return ($result, $stderr, time - $before);
}

# ---- starting and stopping

guard('postgres');
$node->safe_psql('postgres', 'GRANT privacy_guard_auditor TO postgres');
$node->safe_psql('postgres', $access);
isnt(writer('postgres'), '', 'the first access brings a writer');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->restart;
isnt(comes('postgres', ''), '', 'the server starts it');
is(writer('plain'), '', 'but none where nothing is guarded');
is( words('postgres', 3),
	'start: server started, stop: shutdown, start: server started',
	'it says so');
$node->stop('smart');
$node->start;
comes('postgres', '');
is( words('postgres', 2),
	'stop: shutdown, start: server started',
	'a smart shutdown is one, too');

my $pid = writer('postgres');
$node->safe_psql('template1', "SELECT pg_terminate_backend($pid)");
isnt(comes('postgres', $pid), '',
	'another comes for one that was terminated');
is( words('postgres', 2),
	'stop: terminated, start: restarted',
	'which is on record');
like(
	slurp_file($node->logfile),
	qr/starting the audit writer of database "postgres" again/,
	'and in the server log');

my $launcher = $node->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'privacy_guard launcher'}
);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
ok( eventually(
		sub {
			$node->safe_psql('postgres',
				qq{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'privacy_guard launcher' AND pid <> $launcher}
			) eq '1';
		}),
	'a terminated launcher comes back');
$pid = writer('postgres');
$node->safe_psql('template1', "SELECT pg_terminate_backend($pid)");
isnt(comes('postgres', $pid),
	'', 'and takes care of writers that another one started');

# ---- crashes, and servers that run without us

$node->safe_psql('postgres', $access);
$pid = writer('postgres');
kill 'KILL', $pid;
eventually(
	sub {
		(eval { $node->safe_psql('postgres', 'SELECT 1') } // '') eq '1';
	});
isnt(comes('postgres', $pid), '', 'after a crash there is a writer');
is( words('postgres', 3),
	'start: restarted, gap: crash, start: server started',
	'and the gap is on record');

$node->stop('immediate');
$node->start;
comes('postgres', '');
is( words('postgres', 2),
	'gap: crash, start: server started',
	'an immediate shutdown leaves a gap');

sub run_without_library
{
	my ($mode) = @_;
	$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
	$node->start;
	$node->stop($mode);
	$node->adjust_conf('postgresql.conf', 'shared_preload_libraries',
		"'privacy_guard'");
	$node->start;
	comes('postgres', '');
	return;
}

$node->stop('fast');
run_without_library('fast');
is( words('postgres', 3),
	'stop: shutdown, gap: library absent, start: server started',
	'a run without the library is noticed, though it wrote nothing');
$node->stop('fast');
run_without_library('immediate');
is( words('postgres', 3),
	'stop: shutdown, gap: library absent, start: server started',
	'also one that crashed');
$node->stop('immediate');
run_without_library('fast');
is( words('postgres', 3),
	'gap: crash, gap: library absent, start: server started',
	'also one after a crash');

$node->adjust_conf('postgresql.conf', 'max_worker_processes', '2');
$node->adjust_conf('postgresql.conf', 'privacy_guard.audit_timeout', "'1s'");
$node->restart;
my ($result, $stderr) = timed('postgres', "\\set VERBOSITY verbose\n$access");
like(
	$stderr,
	qr/ERROR:  53400: /,
	'without a slot for the writer an access fails');
like($stderr, qr/HINT: .*max_worker_processes/, 'and says why');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'others are not disturbed');
like(
	slurp_file($node->logfile),
	qr/no slot is free for the audit writer of database "postgres"/,
	'the server log says it, too');
$node->adjust_conf('postgresql.conf', 'max_worker_processes', '16');
$node->restart;
comes('postgres', '');
is( words('postgres', 3),
	'stop: shutdown, gap: writer absent, start: server started',
	'a run without a writer is not one without the library');

# ---- a writer that does not write

$pid = writer('postgres');
kill 'STOP', $pid;
($result, $stderr, my $took) =
  timed('postgres', "\\set VERBOSITY verbose\n$access");
like(
	$stderr,
	qr/ERROR:  53400: /,
	'while the writer stands still, an access fails');
ok($took > 0.9 && $took < 5, "after audit_timeout ($took s)");
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_class') > 0,
	1, 'unguarded statements run');

# Another session does this to one that waits for the log.
sub while_it_waits
{
	my ($deed) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/sent/,
		"\\echo sent\n$access;\n\\echo ended :LAST_ERROR_SQLSTATE\n");
	ok( eventually(
			sub {
				$node->safe_psql(
					'postgres',
					q{SELECT count(*) FROM pg_stat_activity
					   WHERE wait_event_type = 'Extension' AND backend_type = 'client backend'}
				) eq '1';
			}),
		'an access waits for the writer');
	$deed->();
	my $said = $session->query_until(qr/ended \d+/, '');
	$session->quit;
	return $said;
}

$node->adjust_conf('postgresql.conf', 'privacy_guard.audit_timeout', "'3s'");
$node->reload;
my $cancel = q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                WHERE wait_event_type = 'Extension' AND backend_type = 'client backend'};
like(while_it_waits(sub { $node->safe_psql('postgres', $cancel) }),
	qr/57014/, 'which can be cancelled');
$node->adjust_conf('postgresql.conf', 'privacy_guard.audit_timeout', "'20s'");
$node->reload;
like(
	while_it_waits(sub { kill 'CONT', $pid }),
	qr/ended 00000/,
	'or ends when the writer goes on');

# ---- several databases, and commands that need one alone

for my $database ('one', 'two')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	guard($database);
	$node->safe_psql($database, $access);
	isnt(writer($database), '', "database $database has a writer of its own");
}
$node->restart;
isnt(comes($_, ''), '', "database $_ has one after a restart")
  for ('postgres', 'one', 'two');

$pid = writer('one');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
isnt(comes('one', $pid), '', 'CREATE DATABASE from it: the writer is back');
is(words('one', 2), 'stop: stepped aside, start: restarted', 'and was away');

$node->psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
isnt(comes('one', ''), '', 'also after a CREATE DATABASE that failed');

$pid = writer('one');
$node->safe_psql('postgres', 'ALTER DATABASE one RENAME TO first');
isnt(comes('first', $pid), '', 'ALTER DATABASE RENAME');

my $path = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$path'");
$pid = writer('first');
$node->safe_psql('postgres', 'ALTER DATABASE first SET TABLESPACE elsewhere');
isnt(comes('first', $pid), '', 'ALTER DATABASE SET TABLESPACE');

$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN CREATEDB');
$pid = writer('first');
for my $command (
	'DROP DATABASE first',
	'ALTER DATABASE first RENAME TO his',
	'CREATE DATABASE his TEMPLATE first')
{
	$node->psql('postgres', $command, extra_params => [ '-U', 'stranger' ]);
}
is(writer('first'), $pid, 'a role that may not do it sends nobody away');

# The hold ends with the session that has it.
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe('BEGIN; ALTER DATABASE first RENAME TO third');
is(writer('first'), '', 'until the end of the transaction it stays away');
my $holder = $node->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity WHERE query ~ 'RENAME TO third' AND pid <> pg_backend_pid()}
);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($holder)");
isnt(comes('first', ''), '', 'or of the session');
eval { $session->quit };

$node->safe_psql('postgres',
	'CREATE ROLE keeper LOGIN; ALTER DATABASE first OWNER TO keeper; ALTER DATABASE two OWNER TO keeper'
);
$node->safe_psql(
	'postgres',
	'DROP DATABASE first',
	extra_params => [ '-U', 'keeper' ]);
pass('DROP DATABASE');
$node->safe_psql(
	'postgres',
	'DROP DATABASE two WITH (FORCE)',
	extra_params => [ '-U', 'keeper' ]);
pass('DROP DATABASE FORCE, by an owner who may not terminate superusers');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# ---- rings are given back

$node->append_conf('postgresql.conf', 'privacy_guard.audit_databases = 2');
$node->restart;
comes('postgres', '');
for my $database ('a', 'b', 'c')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	guard($database);
	$node->safe_psql($database, $access);
	$node->safe_psql('postgres', "DROP DATABASE $database");
}
pass('a dropped database gives its ring to another');
$node->safe_psql('postgres', 'CREATE DATABASE a');
guard('a');
$node->safe_psql('a', $access);
$node->safe_psql('postgres', 'CREATE DATABASE b');
($result, $stderr) = timed(
	'b', q{
	CREATE EXTENSION privacy_guard CASCADE;
	SELECT privacy_guard.create_purpose('care', 'contract');
	CREATE TABLE customer (id bigint PRIMARY KEY);
	SELECT privacy_guard.protect('customer', 'id');
	SELECT privacy_guard.permit('customer', 'care');
	SELECT privacy_guard.grant_purpose('care', 'postgres'); } . $access);
like(
	$stderr,
	qr/HINT: .*privacy_guard.audit_databases/,
	'where there is no ring, the error says so');

$node->safe_psql('a', 'DROP EXTENSION privacy_guard CASCADE');
ok(eventually(sub { writer('a') eq '' }),
	'a database without the extension loses its writer');

nothing_crashed($node, 9);
done_testing();
