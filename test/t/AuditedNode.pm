# A server with guarded tables, its clients, and what the audit log says of each of them.
package AuditedNode;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More  ();
use Time::HiRes qw(usleep);

our @EXPORT =
  qw(audited_node last_query eventually client client_log say_to wait_for
  backend_of on_record denials_of log_is_sound nothing_crashed);

# The same superuser whoever runs the tests.
$ENV{PGUSER} = 'postgres';

my $node;

# Every client works for the purpose "care", and is known by its application_name.
sub audited_node
{
	my ($init, @settings) = @_;
	$node = PostgreSQL::Test::Cluster->new('main');
	$node->init(extra =>
		  [ '--username=postgres', '--locale=C', '--encoding=UTF8', @$init ]);
	$node->append_conf(
		'postgresql.conf',
		join "\n",
		"shared_preload_libraries = 'privacy_guard'",
		'restart_after_crash = on',
		'max_worker_processes = 16',
		@settings);
	$node->start;
	$node->safe_psql(
		'postgres', q{
		CREATE EXTENSION privacy_guard CASCADE;
		GRANT privacy_guard_auditor, privacy_guard_break_glass TO postgres;
		SELECT privacy_guard.create_purpose('care', 'contract');
		SELECT privacy_guard.grant_purpose('care', 'postgres');
		CREATE TABLE person (id bigint PRIMARY KEY, name text);
		INSERT INTO person SELECT i, 'p' || i FROM generate_series(1, 20) i;
		SELECT privacy_guard.protect('person', 'id', subject_category => 'person');
		SELECT privacy_guard.permit('person', 'care');
		CREATE FUNCTION keys(subjects privacy_guard.subject_set) RETURNS text LANGUAGE sql AS $$
			SELECT string_agg(s.key, ' ' ORDER BY length(s.key), s.key) FROM (
			       SELECT key, subject FROM privacy_guard.subject_state UNION
			       SELECT key, subject FROM privacy_guard.subject_alias) s
			 WHERE subjects OPERATOR(privacy_guard.@>) s.subject $$;
	});
	return $node;
}

sub eventually
{
	my ($condition) = @_;
	for (1 .. 600)
	{
		return 1 if $condition->();
		usleep(50_000);
	}
	return 0;
}

# ---- clients

# psql behind a pipe of its own: its process, its input, and the file that gets all it says.
sub client
{
	my ($name, @more) = @_;
	my $log = PostgreSQL::Test::Utils::tempdir . "/$name.log";
	local %ENV = %ENV;
	$ENV{PGAPPNAME} = $name;
	$ENV{PGOPTIONS} =
	  '-c privacy_guard.purpose_scope=session -c privacy_guard.purpose=care';
	pipe(my $theirs, my $ours) or die "no pipe: $!";
	open my $out, '>', $log    or die "no $log: $!";
	my $pid = fork // die "no process: $!";

	if ($pid == 0)
	{
		open STDIN, '<&', $theirs   or die;
		open STDOUT, '>', $log      or die;
		open STDERR, '>&', \*STDOUT or die;
		close $ours;
		exec $node->installed_command('psql'), '-XAtq', '-v',
		  'VERBOSITY=verbose',
		  '-d', $node->connstr('postgres'), @more, '-f', '-';
		die "no psql: $!";
	}
	close $theirs;
	close $out;
	$ours->autoflush(1);
	return { pid => $pid, in => $ours, log => $log, name => $name };
}

sub client_log
{
	my ($client) = @_;
	return slurp_file($client->{log});
}

sub say_to
{
	my ($client, $text) = @_;
	local $SIG{PIPE} = 'IGNORE';
	print { $client->{in} } "$text\n";
	return;
}

# Until psql has nothing more to do.
sub wait_for
{
	my ($client) = @_;
	close $client->{in};
	waitpid $client->{pid}, 0;
	return client_log($client);
}

# The process of a client's backend, when it is in this state or waits for this event.
sub backend_of
{
	my ($name, $where) = @_;
	my $pid = '';
	eventually(
		sub {
			$pid = $node->safe_psql(
				'template1',
				qq{SELECT pid FROM pg_stat_activity WHERE application_name = '$name'
				      AND backend_type = 'client backend' AND '$where' IN (state, wait_event)}
			);
			$pid ne '';
		});
	return $pid;
}

# What a backend runs, or ran last.
sub last_query
{
	my ($pid) = @_;
	return $node->safe_psql('template1',
		"SELECT query FROM pg_stat_activity WHERE pid = $pid");
}

# ---- the log

# One line an execution and table: operation, table, whose rows, how it ended.
sub on_record
{
	my ($name) = @_;
	return $node->safe_psql(
		'postgres', qq{
		SELECT concat_ws(' ', operation, relation, '{' || coalesce(keys(privacy_guard.subject_set_union(subjects)), '') || '}',
		                 string_agg(concat_ws(' ', outcome, sqlstate), ' ' ORDER BY leaf_index) FILTER (WHERE outcome <> 'open'),
		                 max(exempt))
		  FROM privacy_guard.audit_log
		 WHERE kind = 'access' AND application_name = '$name'
		 GROUP BY session_id, execution, relation, operation ORDER BY session_id, execution, min(leaf_index)}
	);
}

sub denials_of
{
	my ($name) = @_;
	return $node->safe_psql(
		'postgres', qq{
		SELECT reason || ' ' || sum(coalesce(count, 1)) FROM privacy_guard.audit_log
		 WHERE kind = 'denial' AND application_name = '$name' GROUP BY reason ORDER BY 1}
	);
}

# What is wrong with the log as such; nothing, it is to be hoped.
sub log_is_sound
{
	return $node->safe_psql(
		'postgres', q{
		SELECT concat_ws(' ', 'verify:', origin, first_bad_leaf, finding)
		  FROM privacy_guard.verify_audit_log() WHERE NOT ok;
		CREATE TEMP TABLE l AS SELECT * FROM privacy_guard.audit_log;
		SELECT concat_ws(' ', 'gap after leaf', n) FROM (
		       SELECT leaf_index, row_number() OVER (PARTITION BY origin ORDER BY leaf_index) - 1 AS n FROM l) i
		 WHERE n <> leaf_index LIMIT 1;
		SELECT concat_ws(' ', 'closed', count(*), 'times:', session_id, execution, relation, operation) FROM l
		 WHERE kind = 'access' AND outcome <> 'open' AND execution IS NOT NULL
		 GROUP BY origin, session_id, execution, relation, operation HAVING count(*) > 1;
		SELECT 'twice: ' || count(*) FROM l WHERE kind = 'access' GROUP BY record HAVING count(*) > 1;
		SELECT 'unreadable' FROM l WHERE kind IN ('unreadable', 'tamper') LIMIT 1;
	});
}

# Stops the server and looks through its log; a test that kills processes says with which signal.
sub nothing_crashed
{
	my ($server, $own_signal) = @_;
	my $expected = defined $own_signal ? "(?!$own_signal)" : '';
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$server->stop;
	Test::More::unlike(
		slurp_file($server->logfile),
		qr/PANIC|TRAP|terminated by signal $expected/,
		defined $own_signal ? 'nothing else crashed' : 'nothing crashed');
	return;
}

1;
