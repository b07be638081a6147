# The audit log cannot be written: its writer stands still, its ring is full, its disk is full. Guarded
# statements wait and then fail, others go on, and afterwards all is well and on record.
# Not an SQL test, because it stops processes and limits their files.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use AuditedNode;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

# Small files of WAL, so that a limit on the size of the writer's files concerns tables only.
my $node = audited_node(
	['--wal-segsize=1'],
	'max_wal_size = 2MB',
	'min_wal_size = 2MB',
	'privacy_guard.audit_buffers = 512kB',
	"privacy_guard.audit_timeout = '20s'");
my $n = 0;
my $access = 'SELECT name FROM person WHERE id = 3;';

sub run_client
{
	my ($sql) = @_;
	my $client = client('client' . ++$n);
	my $began = time;
	say_to($client, $sql);
	my $said = wait_for($client);
	return ($said, "client$n", time - $began);
}

sub writer
{
	return $node->safe_psql('template1',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'privacy_guard audit writer' AND datname = 'postgres'}
	);
}

sub set_timeout
{
	my ($timeout) = @_;
	$node->append_conf('postgresql.conf',
		"privacy_guard.audit_timeout = '$timeout'");
	$node->reload;
	# A backend that starts now knows it; the others have been told.
	usleep(200_000);
	return;
}

run_client($access);
my $writer = writer();

# ---- the writer stands still

kill 'STOP', $writer;
set_timeout('500ms');
my ($said, $late, $time) =
  run_client("BEGIN;\n$access\nCOMMIT;\nSELECT 1 AS unguarded;");
like($said, qr/^p3$/m, 'the statement itself runs');
like(
	$said,
	qr/ERROR:  53400: the audit log cannot be written in time/,
	'its commit fails');
like($said, qr/^1$/m, 'an unguarded statement runs');
cmp_ok($time, '<', 10, 'after a while');
($said, my $kept) =
  run_client("BEGIN;\n$access\n$access\nCOMMIT;\nBEGIN;\n$access\nROLLBACK;");
is(scalar(() = $said =~ /53400/g), 1, 'a rollback does not fail');
set_timeout('60s');
my $waiting = client('waiting');
say_to($waiting, $access);
my $backend =
  backend_of('waiting', 'Extension') || backend_of('waiting', 'active');
eventually(
	sub {
		$node->safe_psql('template1',
			"SELECT wait_event_type FROM pg_stat_activity WHERE pid = $backend"
		) eq 'Extension';
	});
$node->safe_psql('template1', "SELECT pg_cancel_backend($backend)");
eventually(sub { client_log($waiting) =~ /ERROR/ });
like(client_log($waiting), qr/ERROR:  57014/, 'the wait can be cancelled');
my $patient = client('patient');
say_to($patient, $access);
my $gone = client('gone');
say_to($gone, $access);
$backend = backend_of('gone', 'active');
usleep(300_000);
$node->safe_psql('template1', "SELECT pg_terminate_backend($backend)");
ok(eventually(sub { not kill 0, $backend }), 'and ends with the session');
kill 'CONT', $writer;
unlike(wait_for($patient), qr/ERROR/, 'who waited long enough is served');
wait_for($waiting);
wait_for($gone);
is(writer(), $writer, 'by the same writer');
is( on_record($late),
	'Access public.person {3} rolled_back',
	'what failed so is on record as rolled back');
is(on_record($kept), join("\n", ('Access public.person {3} rolled_back') x 3),
	'each once');
is( on_record('waiting'),
	'Access public.person {3} rolled_back',
	'what was cancelled');
is( on_record('gone'),
	'Access public.person {3} rolled_back',
	'what was terminated');
is( on_record('patient'),
	'Access public.person {3} completed',
	'and what waited');

# ---- the ring is full

$node->safe_psql(
	'postgres', q{
	CREATE TABLE many (id bigint, part int);
	INSERT INTO many SELECT 1000 + i, i % 2 FROM generate_series(1, 150000) i;
	SELECT privacy_guard.protect('many', 'id', subject_category => 'many');
	SELECT privacy_guard.permit('many', 'care');
});
($said, my $many) = run_client('SELECT count(*) FROM many;');
is($said, "150000\n",
	'a statement about more subjects than fit into the ring');

sub many_on_record
{
	my ($name) = @_;
	return $node->safe_psql(
		'postgres', qq{
		SELECT sum(rows), privacy_guard.cardinality(privacy_guard.subject_set_union(subjects)),
		       string_agg(outcome, ' ') FILTER (WHERE outcome <> 'open')
		  FROM privacy_guard.audit_log WHERE kind = 'access' AND application_name = '$name' AND relation = 'public.many'}
	);
}
is(many_on_record($many), '150000|150000|completed', 'is on record in parts');

$writer = writer();
kill 'STOP', $writer;
set_timeout('300ms');
my $failed = 0;
my @names;
my $loop =
  'DO $$ BEGIN FOR i IN 1..200 LOOP PERFORM FROM person WHERE id = i % 20 + 1; END LOOP; END $$;';
for (1 .. 40)
{
	($said, my $name) = run_client($loop);
	push @names, $name;
	last if $said =~ /53400/ && $said =~ /PERFORM|line 1/;
}
like(
	$said,
	qr/ERROR:  53400: the audit log cannot be written in time/,
	'a statement fails for want of room');
like($said, qr/audit_buffers/, 'and says what to do');
($said, my $full) = run_client("$access SELECT 1 AS unguarded;");
like($said, qr/53400/, 'the next one too');
like($said, qr/^1$/m, 'unguarded ones run');
($said, my $refused) = run_client(
	"RESET privacy_guard.purpose; SET privacy_guard.purpose = ''; $access");
like($said, qr/ERROR:  (42501|53400)/, 'a refusal is one');
# Keeping a record when the ring has no room for what would undo it.
($said, my $tight) =
  run_client("BEGIN;\n$loop\nROLLBACK;\nBEGIN;\n$loop\nCOMMIT;");
like($said, qr/53400/, 'a long transaction fails');
set_timeout('20s');
kill 'CONT', $writer;
run_client($access);
is( on_record("client$n"),
	'Access public.person {3} completed',
	'all is well when the writer goes on');
is( $node->safe_psql(
		'postgres', qq{
		SELECT DISTINCT outcome FROM privacy_guard.audit_log
		 WHERE kind = 'access' AND application_name IN ('$tight', '@{[join "', '", @names]}') ORDER BY 1}
	),
	"failed\nrolled_back",
	'nothing of what failed has succeeded');
is(log_is_sound(), '', 'the log is sound');

# ---- the disk is full: no file of the writer may grow beyond a size

my ($limit, $size) = ('prlimit', 3 * 1024 * 1024);
SKIP:
{
	skip 'there is no prlimit', 8
	  if system("$limit --pid $$ > /dev/null 2>&1") != 0;
	$node->append_conf('postgresql.conf',
		"privacy_guard.audit_durability = async");
	set_timeout('3s');
	$writer = writer();
	is(system($limit, '--pid', $writer, "--fsize=$size:unlimited"),
		0, 'files of the writer are limited');
	my $log_at = -s $node->logfile;
	my @ended;
	my $scan =
	  'SELECT count(*) FROM many WHERE hashint8(id) % 3 = %d AND hashint8(id + %d) % 2 = 0;';

	for my $i (1 .. 600)
	{
		my $sql = '';
		$sql .= sprintf($scan =~ s/% (\d)/%% $1/gr, $_ % 3, $i * 10 + $_)
		  for 1 .. 10;
		($said, my $name) = run_client($sql);
		push @ended, $name;
		last if $said =~ /ERROR/;
	}
	like(
		$said,
		qr/ERROR:  53400: .*\n(.*\n)?HINT:  .*disk is full/,
		'when the disk is full, a statement fails and says so');
	like(
		slurp_file($node->logfile, $log_at),
		qr/could not write the audit log: .*could not extend file/,
		'the server\'s log says why');
	is($node->safe_psql('postgres', 'SELECT 1'), '1', 'unguarded ones run');
	is(writer(), $writer, 'the writer is still there');
	system($limit, '--pid', $writer, '--fsize=unlimited:unlimited');
	set_timeout('60s');
	run_client($access);
	is( on_record("client$n"),
		'Access public.person {3} completed',
		'all is well when there is room again');
	my $list = join "', '", @ended[ 0 .. $#ended - 1 ];
	is( $node->safe_psql(
			'postgres', qq{
			SELECT count(*) FROM privacy_guard.audit_log
			 WHERE kind = 'access' AND outcome = 'completed' AND application_name IN ('$list')}
		),
		10 * (@ended - 1),
		'nothing was lost or written twice');
	is(log_is_sound(), '', 'the log is sound');
}

nothing_crashed($node);
done_testing();
