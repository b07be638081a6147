# Logical replication connections reach rows past planner and executor. Not an SQL test, because it
# opens replication connections.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'privacy_guard'");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION privacy_guard CASCADE;
	CREATE TABLE customer (id int PRIMARY KEY);
	CREATE ROLE copier LOGIN REPLICATION BYPASSRLS;
	SELECT pg_create_logical_replication_slot('before', 'test_decoding')});

sub connects
{
	my ($database, $replication) = @_;
	my ($result, $stdout, $stderr) = $node->psql(
		$database, 'IDENTIFY_SYSTEM',
		replication => $replication,
		extra_params => [ '-U', 'copier' ]);
	return $result == 0 ? 'yes' : $stderr;
}

is(connects('postgres', 'database'),
	'yes', 'nothing is guarded: logical connections are let in');
$node->safe_psql('postgres',
	q{SELECT privacy_guard.protect('customer', subject_column => 'id')});
like(
	connects('postgres', 'database'),
	qr/FATAL:  logical replication connections to a database with guarded tables are refused/,
	'a table is guarded: they are refused');
is(connects('postgres', 'true'), 'yes', 'physical ones are not');
is(connects('template1', 'database'), 'yes', 'nor those to another database');

my ($result, $stdout, $stderr) = $node->psql('postgres',
	q{SELECT * FROM pg_logical_slot_peek_changes('before', NULL, NULL)});
like(
	$stderr,
	qr/shows rows past the guards/,
	'a superuser cannot decode in SQL either');

$node->safe_psql('postgres',
	q{SELECT privacy_guard.exempt_role('copier', 'logical backup')});
is(connects('postgres', 'database'), 'yes', 'an exempt role is let in');

$node->stop;
done_testing();
