# Parallel workers judge rows for the purpose, role and moment of their leader.
# Not an SQL test, because it takes settings of the server to be sure of workers.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The same superuser whoever runs the tests.
BEGIN { $ENV{PGUSER} = q(postgres) }

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => ["--username=postgres"]);
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'privacy_guard'
max_worker_processes = 16
max_parallel_workers = 8
max_parallel_workers_per_gather = 4
parallel_setup_cost = 0
parallel_tuple_cost = 0
min_parallel_table_scan_size = 0
min_parallel_index_scan_size = 0
parallel_leader_participation = off
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION privacy_guard CASCADE;
	CREATE ROLE app LOGIN;
	CREATE ROLE super LOGIN SUPERUSER;
	CREATE ROLE member;
	GRANT member TO app;
	CREATE TABLE customer (id int PRIMARY KEY, note text);
	CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customer);
	INSERT INTO customer SELECT g, repeat('x', 200) FROM generate_series(1, 10000) g;
	INSERT INTO orders SELECT g, 1 + g % 10000 FROM generate_series(1, 20000) g;
	GRANT ALL ON customer, orders TO app, member;
	ANALYZE;
	SELECT privacy_guard.create_purpose('marketing', 'consent');
	SELECT privacy_guard.create_purpose('billing', 'contract');
	SELECT privacy_guard.protect('customer', subject_column => 'id');
	SELECT privacy_guard.protect('orders', subject_via => 'customer');
	SELECT privacy_guard.permit(t::regclass, p) FROM unnest('{customer,orders}'::text[]) t, unnest('{marketing,billing}'::text[]) p;
	SELECT privacy_guard.grant_purpose('marketing', r) FROM unnest('{app,super,member}'::regrole[]) r;
	SELECT privacy_guard.grant_purpose('billing', 'member');
	SELECT privacy_guard.grant_collection('marketing', current_user::regrole);
	SELECT privacy_guard.record_consent(g::text, 'marketing') FROM generate_series(1, 10000, 4) g;
});

sub ask
{
	my ($role, $sql) = @_;
	my ($result, $out, $err) =
	  $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return "$out$err";
}

my $count = 'SELECT count(*) FROM customer';
foreach my $role (qw(app super))
{
	my $plan = ask($role,
		"BEGIN; SET LOCAL privacy_guard.purpose = 'marketing'; EXPLAIN (COSTS off) $count"
	);
	like(
		$plan,
		qr/Workers Planned.*Parallel .*guard/s,
		"$role: the guard is below Gather");
	is( ask($role,
			"BEGIN; SET LOCAL privacy_guard.purpose = 'marketing'; $count"),
		2500,
		"$role: workers let pass what is permitted");
	is( ask($role,
			"BEGIN; SET LOCAL privacy_guard.purpose = 'marketing'; SELECT count(*) FROM orders"
		),
		5000,
		"$role: also through a foreign key");
	is( ask($role, "BEGIN; SET LOCAL privacy_guard.purpose = 'marketing';
		SELECT count(*) FROM customer c JOIN orders o ON o.customer = c.id WHERE c.note IS NOT NULL"
		),
		5000,
		"$role: also in a join");
}

# The purpose as it came: SET LOCAL, set_config, the connection, the role, a function.
is( ask('app',
		"BEGIN; SELECT set_config('privacy_guard.purpose', 'marketing', true) \\g /dev/null\n$count"
	),
	2500,
	'declared by set_config');
{
	local $ENV{PGOPTIONS} = '-c privacy_guard.purpose=marketing';
	is(ask('app', $count), 2500, 'declared by the connection');
}
$node->safe_psql('postgres',
	q{ALTER ROLE app SET privacy_guard.purpose = 'marketing'});
is(ask('app', $count), 2500, 'declared by the role');
is( ask('app',
		"BEGIN; SET LOCAL privacy_guard.purpose = 'marketing'; SAVEPOINT a;
	SET LOCAL privacy_guard.purpose = 'billing'; ROLLBACK TO a; $count"),
	2500,
	'after ROLLBACK TO SAVEPOINT');

# The role, not the session's.
like(
	ask('super', "BEGIN; SET LOCAL privacy_guard.purpose = 'billing'; $count"
	),
	qr/may not process/,
	'a superuser may not bill');
is( ask('app',
		"BEGIN; SET LOCAL ROLE member; SET LOCAL privacy_guard.purpose = 'billing'; $count"
	),
	10000,
	'member may, in workers too');
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET privacy_guard.purpose = 'billing' AS
		$$ BEGIN RETURN (SELECT count(*) FROM customer); END $$;
	ALTER FUNCTION counted() OWNER TO member;
});
is(ask('app', 'SELECT counted()'), 10000, 'and a definer function of his');
like(ask('app', "BEGIN; SET LOCAL privacy_guard.purpose = ''; $count"),
	qr/no purpose/, 'no purpose');
is( ask('app',
		"BEGIN; SET LOCAL privacy_guard.on_no_purpose = empty; SET LOCAL privacy_guard.purpose = ''; $count"
	),
	0,
	'no purpose, and empty results asked for');

# Storage durations, by the clock.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE visit (id int, customer int, since date);
	INSERT INTO visit SELECT g, 1, CASE WHEN g % 4 = 0 THEN '2000-01-01' ELSE '2100-01-01' END::date FROM generate_series(1, 10000) g;
	GRANT ALL ON visit TO app;
	ANALYZE visit;
	SELECT privacy_guard.protect('visit', subject_column => 'customer');
	SELECT privacy_guard.permit('visit', 'marketing');
	SELECT privacy_guard.retain('visit', '1 year', 'since', effective_from => now());
});
like(
	ask('app', 'EXPLAIN (COSTS off) SELECT count(*) FROM visit'),
	qr/Workers Planned.*Parallel .*guard\(.*since\)/s,
	'the start goes to the workers');
is(ask('app', 'SELECT count(*) FROM visit'),
	7500, 'workers do not let pass what has ended');

# Fresh decisions, one's own uncommitted ones, and a REPEATABLE READ leader.
$node->safe_psql('postgres',
	q{SELECT privacy_guard.withdraw_consent('1', 'marketing')});
is(ask('app', $count), 2499, 'a withdrawal reaches the workers');
is( ask('postgres', q{
	SELECT privacy_guard.grant_purpose('marketing', current_user::regrole) \g /dev/null
	BEGIN; SET LOCAL privacy_guard.purpose = 'marketing';
	SELECT privacy_guard.record_consent('2', 'marketing') \g /dev/null
	SELECT count(*) FROM customer;
	ROLLBACK;
	BEGIN; SET LOCAL privacy_guard.purpose = 'marketing';
	SELECT count(*) FROM customer;
	COMMIT}),
	"2500\n2499",
	'what the transaction itself recorded counts, and goes with it');
is(ask('app', $count), 2499, 'and was never seen by others');

my $reader = $node->background_psql(
	'postgres',
	on_error_die => 1,
	extra_params => [ '-U', 'app' ]) if $node->can('background_psql');
SKIP:
{
	skip 'no background_psql', 2 unless $reader && $reader->can('query_safe');
	$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($reader->query_safe($count), 2499, 'a snapshot is taken');
	$node->safe_psql('postgres',
		q{SELECT privacy_guard.withdraw_consent('5', 'marketing')});
	is($reader->query_safe($count),
		2498, 'workers of a REPEATABLE READ leader obey a withdrawal');
	$reader->quit;
}

$node->stop;
done_testing();
