# Legal holds bind what a prepared transaction, logical replication and a restored dump bring.
# Not an SQL test, because it crashes the server, and runs a subscription and pg_dump.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use AuditedNode qw(audited_node eventually nothing_crashed);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = audited_node(
	[],
	'max_prepared_transactions = 10',
	'wal_level = logical',
	'max_wal_senders = 4',
	'autovacuum = off');

sub sql
{
	my ($text, $database) = @_;
	return $node->safe_psql($database // 'postgres', $text);
}

# The error of a statement that must fail.
sub refusal
{
	my ($text, $database) = @_;
	my ($result, $out, $err) = $node->psql($database // 'postgres',
		"SET privacy_guard.on_withheld = silent; $text");
	return $result == 0 ? "no error: $out" : $err;
}

my $purpose = q{BEGIN; SET LOCAL privacy_guard.purpose = 'care';};
my $held = qr/a row of guarded table "person" is under a legal hold/;

sub count
{
	my ($condition, $database) = @_;
	return sql("$purpose SELECT count(*) FROM person WHERE $condition",
		$database);
}

sub hold
{
	my ($subject) = @_;
	return "SELECT privacy_guard.place_hold('case $subject', '$subject',"
	  . " subject_category => 'person')";
}

# ---- prepared transactions, also after a crash

sql("$purpose DELETE FROM person WHERE id = 5; PREPARE TRANSACTION 'gone'");
$node->stop('immediate');
$node->start;
like(
	refusal("SET lock_timeout = '300ms'; " . hold(5)),
	qr/lock timeout/,
	'a hold waits for a deletion that was prepared before a crash');
sql(q{ROLLBACK PREPARED 'gone'});
sql(hold(5));
like(
	refusal(
		"$purpose DELETE FROM person WHERE id = 5; PREPARE TRANSACTION 'gone'"
	),
	$held,
	'and then binds');

sql(hold(6) . q{; SELECT privacy_guard.release_hold('case 6')});
sql('BEGIN; ' . hold(6) . q{; PREPARE TRANSACTION 'held'});
like(
	refusal(
		"SET lock_timeout = '300ms'; $purpose DELETE FROM person WHERE id = 6"
	),
	qr/lock timeout/,
	'a deletion waits for a hold that is prepared');
sql(q{COMMIT PREPARED 'held'});
like(refusal("$purpose DELETE FROM person WHERE id = 6"),
	$held, 'and is refused');

# ---- logical replication

sql('CREATE DATABASE source');
sql(q{
	CREATE TABLE person (id bigint PRIMARY KEY, name text);
	INSERT INTO person SELECT i, 'p' || i FROM generate_series(1, 20) i;
	CREATE PUBLICATION p FOR TABLE person;
}, 'source');

# What the source does is applied, or the subscription has been disabled by an error.
sub replicate
{
	my ($change) = @_;
	sql("SELECT FROM pg_create_logical_replication_slot('s', 'pgoutput'); $change; CREATE TABLE IF NOT EXISTS marks (i int);",
		'source');
	my $connection = $node->connstr('source');
	$connection =~ s/'/''/g;
	sql("CREATE SUBSCRIPTION s CONNECTION '$connection' PUBLICATION p
		 WITH (create_slot = false, slot_name = s, copy_data = false, disable_on_error = true)"
	);
	my $end = sql('SELECT pg_current_wal_lsn()');
	my $applied = eventually(
		sub {
			sql("SELECT NOT subenabled FROM pg_subscription UNION ALL
				 SELECT confirmed_flush_lsn >= '$end' FROM pg_replication_slots WHERE slot_name = 's'"
			) =~ /^t$/m;
		});
	sql('ALTER SUBSCRIPTION s DISABLE');
	sql('ALTER SUBSCRIPTION s SET (slot_name = NONE)');
	sql('DROP SUBSCRIPTION s');
	eventually(
		sub {
			sql(q{SELECT count(*) FROM pg_replication_slots WHERE active}) eq
			  '0';
		});
	sql(q{SELECT pg_drop_replication_slot('s')}, 'source');
	return $applied;
}

replicate('DELETE FROM person WHERE id = 7');
is(count('id = 7'), 0, 'replication deletes what nobody holds');
my $log = -s $node->logfile;
replicate('DELETE FROM person WHERE id IN (5, 8)');
is(count('id IN (5, 8)'), 2, 'but nothing that is held');
like(slurp_file($node->logfile, $log), $held, 'and says why');
$log = -s $node->logfile;
replicate('UPDATE person SET id = 55 WHERE id = 6');
is(count('id = 6'), 1, 'nor does it take a row from its subject');
like(slurp_file($node->logfile, $log), $held, 'and says why');
$log = -s $node->logfile;
replicate('TRUNCATE person');
is(count('true'), 19, 'nor truncate');
like(
	slurp_file($node->logfile, $log),
	qr/cannot truncate guarded table "person" while a legal hold may bind its rows/,
	'and says why');

# ---- a restored dump

sql(q{SELECT privacy_guard.exempt_role('postgres', 'backup')});
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok(
	[ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ],
	'pg_dump');
sql('CREATE DATABASE copy');
$node->command_ok(
	[ 'pg_restore', '-j2', '-d', $node->connstr('copy'), $dump ],
	'pg_restore');
sql(q{SELECT privacy_guard.finish_restore(); SELECT privacy_guard.unexempt_role('postgres')},
	'copy');
my $holds =
  'SELECT matter, subject, subject_category, table_name, placed_by, placed_at FROM privacy_guard.holds ORDER BY 1';
is(sql($holds, 'copy'), sql($holds), 'a restored dump has the holds');
like(refusal("$purpose DELETE FROM person WHERE id = 5", 'copy'),
	$held, 'and they bind');
like(
	refusal('TRUNCATE person', 'copy'),
	qr/cannot truncate guarded table/,
	'whole tables, too');
sql(q{SELECT privacy_guard.release_hold('case 5')}, 'copy');
sql("$purpose DELETE FROM person WHERE id = 5; COMMIT", 'copy');
is(count('id = 5', 'copy'), 0, 'until they end');

nothing_crashed($node);
done_testing();
