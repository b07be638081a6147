# What was acknowledged is in the audit log, whatever is killed and when: with audit_durability
# "transaction" all that a transaction used whose end was reported; with "disclosure" every row that a
# client received. Nothing is in it twice, it verifies, and it says that there was a crash.
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
my $n_clients = 4;

my $node = audited_node([], "privacy_guard.audit_timeout = '60s'");
$node->safe_psql(
	'postgres', q{
	CREATE TABLE many (id bigint);
	INSERT INTO many SELECT 1000 + i FROM generate_series(1, 3000) i;
	SELECT privacy_guard.protect('many', 'id', subject_category => 'person');
	SELECT privacy_guard.permit('many', 'care');
	CREATE TABLE received (tag text, id text);
});

# ---- the load

my $loop =
  'DO $$ BEGIN FOR i IN 1..70 LOOP PERFORM FROM person WHERE id = %d; END LOOP; END $$;';

# A transaction, and what is on record of it once it has ended: outcome, keys, how often.
sub transaction
{
	my ($i) = @_;
	my ($k, $l) = (4 + $i % 16, 4 + ($i + 5) % 16);
	my $one = "SELECT FROM person WHERE id = $k;";
	my @kinds = (
		[ "$one COMMIT;", "completed {$k} 1" ],
		[ "$one ROLLBACK;", "rolled_back {$k} 1" ],
		[
			"$one SAVEPOINT a; SELECT FROM person WHERE id = $l; ROLLBACK TO a; COMMIT;",
			"completed {$k} 1, rolled_back {$l} 1"
		],
		[
			"UPDATE person SET name = name WHERE id = $k; COMMIT;",
			"completed {$k} 1"
		],
		[ sprintf("$loop COMMIT;", $k), "completed {$k} 70" ],
		[ sprintf("$loop ROLLBACK;", $k), "rolled_back {$k} 70" ],
		[
			'DECLARE c CURSOR FOR SELECT id FROM person ORDER BY id; FETCH 2 FROM c \\g /dev/null'
			  . "\nCOMMIT;",
			"completed {1 2} 1"
		]);
	return @{ $kinds[ $i % @kinds ] };
}

my %expected;

sub transactions
{
	my ($name) = @_;
	my $script = '';
	for my $i (0 .. 4000)
	{
		my ($sql, $records) = transaction($i + int rand 1000);
		my $tag = "${name}t$i";
		$expected{$tag} = $records;
		$script .=
		  "BEGIN; SET LOCAL privacy_guard.application_user = '$tag'; $sql\n\\echo ended $tag\n";
	}
	return $script;
}

# Transactions of which the client says each row that it receives.
sub disclosures
{
	my ($name) = @_;
	my $script = '';
	for my $i (0 .. 300)
	{
		my $tag = "${name}t$i";
		my $row =
		  "'$tag ' || id || ';' || repeat('x', 2000) FROM many WHERE id % 3 = "
		  . $i % 3;
		my $other =
		  $i % 2
		  ? "SELECT '$tag ' || id || ';' FROM person WHERE id = 4;"
		  : '';
		$script .=
		  "BEGIN; SET LOCAL privacy_guard.application_user = '$tag'; $other COPY (SELECT $row) TO STDOUT;
		   DECLARE c CURSOR FOR SELECT $row; FETCH 3 FROM c; FETCH 3 FROM c; COMMIT;\n";
	}
	return $script;
}

sub start_clients
{
	my ($round, $script_of) = @_;
	my @clients;
	for my $i (1 .. $n_clients)
	{
		my $name = "r${round}c$i";
		my $file = PostgreSQL::Test::Utils::tempdir . "/$name.sql";
		append_to_file($file, $script_of->($name));
		push @clients, client($name, '-v', 'ON_ERROR_STOP=1', '-f', $file);
	}
	return @clients;
}

# ---- the deed

sub process
{
	my ($where) = @_;
	return $node->safe_psql('template1',
		"SELECT pid FROM pg_stat_activity WHERE $where ORDER BY random() LIMIT 1"
	);
}

sub wait_for_server
{
	return eventually(
		sub {
			(eval { $node->safe_psql('postgres', 'SELECT 1') } // '') eq '1';
		});
}

# The clients notice by themselves.
my %kill = (
	backend => sub { kill 'KILL', process("application_name ~ '^r[0-9]+c'") },
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

# ---- what must be on record

sub words
{
	return $node->safe_psql(
		'postgres', q{
		SELECT string_agg(operation || ': ' || reason, ', ' ORDER BY leaf_index)
		  FROM (SELECT * FROM privacy_guard.audit_records(kinds => '{writer}') ORDER BY leaf_index DESC LIMIT 2) w}
	);
}

# By transaction: what is on record of it.
sub recorded
{
	my ($round) = @_;
	my %recorded;
	my $lines = $node->safe_psql(
		'postgres', qq{
		SELECT application_user || ':' || string_agg(concat(outcome, ' {', keys(subjects), '} ', n), ', ' ORDER BY outcome)
		  FROM (SELECT application_user, outcome, subjects, count(*) AS n FROM privacy_guard.audit_log
		         WHERE kind = 'access' AND application_user LIKE 'r${round}c%'
		         GROUP BY 1, 2, 3) l
		 GROUP BY application_user});
	for (split /\n/, $lines)
	{
		my ($tag, $records) = split /:/, $_, 2;
		$recorded{$tag} = $records;
	}
	return %recorded;
}

sub check_transactions
{
	my ($round, @said) = @_;
	my %recorded = recorded($round);
	my @ended = map { /^ended (\S+)$/mg } @said;
	my @wrong = grep { ($recorded{$_} // 'nothing') ne $expected{$_} } @ended;
	diag "$_: " . ($recorded{$_} // 'nothing') . ", not $expected{$_}"
	  for @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ];
	cmp_ok(scalar @ended, '>', $n_clients, 'transactions ended: ' . @ended);
	is(scalar @wrong, 0, 'each is on record, and how it ended');

	# Of one that had not been reported ended, at most its own subjects.
	delete @recorded{@ended};
	my @others = grep {
		my ($tag, %own) =
		  ($_, map { $_ => 1 } $expected{$_} =~ /(\{[^}]*\})/g);
		grep { !$own{$_} && $_ ne '{}' } $recorded{$tag} =~ /(\{[^}]*\})/g
	} keys %recorded;
	is("@others", '', 'and no others\' subjects');
	return;
}

sub check_disclosures
{
	my ($round, @said) = @_;
	my %rows = map { $_ => 1 } map { /^(r\d+c\d+t\d+ \d+);/mg } @said;
	my @rows = keys %rows;
	my $file = PostgreSQL::Test::Utils::tempdir . "/received$round";
	append_to_file($file, join '', map { tr/ /\t/r . "\n" } @rows);
	cmp_ok(scalar @rows, '>', $n_clients, 'rows received: ' . @rows);
	is( $node->safe_psql(
			'postgres', qq{
			TRUNCATE received;
			\\copy received FROM '$file'
			CREATE TEMP TABLE s AS SELECT key, subject FROM privacy_guard.subject_state
			                UNION SELECT key, subject FROM privacy_guard.subject_alias;
			CREATE TEMP TABLE l AS SELECT application_user AS tag, privacy_guard.subject_set_union(subjects) AS subjects
			                         FROM privacy_guard.audit_log
			                        WHERE kind = 'access' AND application_user LIKE 'r${round}c%' GROUP BY 1;
			ANALYZE s, l, received;
			SELECT r.tag, r.id FROM received r LEFT JOIN s ON s.key = r.id LEFT JOIN l ON l.tag = r.tag
			 GROUP BY 1, 2 HAVING bool_or(l.subjects OPERATOR(privacy_guard.\@>) s.subject) IS NOT TRUE LIMIT 10}
		),
		'',
		'each is on record');
	return;
}

# ---- rounds

my %modes = (
	transaction => [ \&transactions, \&check_transactions ],
	disclosure => [ \&disclosures, \&check_disclosures ]);

for my $round (1 .. $rounds)
{
	my $victim = ('backend', 'writer', 'postmaster')[ $round % 3 ];
	my $mode = ('transaction', 'disclosure')[ $round % 2 ];
	my ($script_of, $check) = @{ $modes{$mode} };
	note "round $round: $mode, $victim";
	$node->append_conf('postgresql.conf',
		"privacy_guard.audit_durability = $mode");
	$node->reload;
	my @clients = start_clients($round, $script_of);
	eventually(
		sub {
			not grep { -z $_->{log} } @clients;
		});
	usleep(rand 1_500_000);
	$kill{$victim}->();
	my @said = map { wait_for($_) } @clients;
	restart_killed() if $victim eq 'postmaster';
	ok(wait_for_server(),
		"round $round, $mode: the server is back after its $victim was killed"
	);
	like(
		words(),
		qr/gap: crash, start: server started$/,
		'the gap is on record');
	$check->($round, @said);
	is(log_is_sound(), '', 'the log is sound');
}

nothing_crashed($node, 9);
done_testing();
