# A server that is started without the library: whoever row security covers sees no row. Where a table
# has permissive policies of its own, which would show rows, there is an error.
# Not an SQL test, because it restarts the server.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The same superuser whoever runs the tests.
BEGIN { $ENV{PGUSER} = q(postgres) }

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => ["--username=postgres"]);
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'privacy_guard'");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION privacy_guard CASCADE;
	CREATE ROLE app LOGIN;
	CREATE ROLE owner LOGIN;
	GRANT CREATE ON SCHEMA public TO owner;
	ALTER ROLE app SET privacy_guard.purpose = 'marketing';
	ALTER ROLE owner SET privacy_guard.purpose = 'marketing';
	SET ROLE owner;
	CREATE TABLE plain (id int PRIMARY KEY, note text);
	CREATE TABLE tenant (id int PRIMARY KEY, note text);
	CREATE TABLE part (id int, note text) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
	CREATE TABLE inh (id int, note text);
	CREATE TABLE inh_child () INHERITS (inh);
	CREATE TABLE unguarded (id int);
	INSERT INTO plain SELECT g, 'note' FROM generate_series(1, 10) g;
	INSERT INTO tenant TABLE plain;
	INSERT INTO part TABLE plain;
	INSERT INTO inh TABLE plain;
	INSERT INTO inh_child TABLE plain;
	INSERT INTO unguarded VALUES (1);
	ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;
	CREATE POLICY everything ON tenant USING (true) WITH CHECK (true);
	GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
	RESET ROLE;
	CREATE VIEW over AS SELECT * FROM plain;
	ALTER VIEW over OWNER TO owner;
	GRANT ALL ON over TO app;
	SELECT privacy_guard.create_purpose('marketing', 'consent');
	SELECT privacy_guard.protect(t::regclass, subject_column => 'id')
	  FROM unnest('{plain,tenant,part,inh}'::text[]) t;
	SELECT privacy_guard.permit(t::regclass, 'marketing')
	  FROM unnest('{plain,tenant,part,inh}'::text[]) t;
	SELECT privacy_guard.grant_purpose('marketing', r)
	  FROM unnest('{app,owner}'::regrole[]) r;
	SELECT privacy_guard.grant_collection('marketing', current_user::regrole);
	SELECT privacy_guard.record_consent(g::text, 'marketing')
	  FROM generate_series(1, 3) g;
});

my @tables = qw(plain tenant part part_1 inh inh_child over);

sub ask
{
	my ($role, $sql) = @_;
	my ($result, $out, $err) = $node->psql(
		'postgres', $sql,
		extra_params => [ '-U', $role ],
		on_error_stop => 1);
	return ($result, $out, $err);
}

foreach my $table (@tables)
{
	my ($result, $out) = ask('app', "SELECT count(*) FROM $table");
	is( $out,
		$table eq 'inh' ? 6 : 3,
		"with the library, app sees of $table what is permitted");
}

$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->restart;

foreach my $role (qw(app owner))
{
	foreach my $table (@tables)
	{
		foreach my $sql (
			"SELECT * FROM $table",
			"SELECT count(*) FROM $table",
			"UPDATE $table SET note = 'x' RETURNING note",
			"DELETE FROM $table RETURNING note",
			"COPY $table TO STDOUT",
			"SET row_security = off; SELECT * FROM $table")
		{
			my ($result, $out, $err) = ask($role, $sql);
			my $nothing = $table eq 'tenant' ? qr/^$/ : qr/^0?$/;
			like($out, $nothing,
				"without the library, $role sees nothing: $sql");
			isnt($result, 0, '... and hears of an error')
			  if $table eq 'tenant' || $sql =~ /row_security/;
		}
	}
}
foreach my $sql (
	"INSERT INTO plain VALUES (11, 'x')",
	"INSERT INTO tenant VALUES (11, 'x') ON CONFLICT (id) DO UPDATE SET note = 'x' RETURNING note",
	"COPY tenant FROM '/dev/null'",
	'SELECT privacy_guard.consent_of(\'1\')',
	"SELECT privacy_guard.record_consent('5', 'marketing')")
{
	my ($result, $out, $err) = ask('app', $sql);
	isnt($result, 0, "without the library, app cannot: $sql");
}
my ($result, $out, $err) = ask('app', 'SELECT count(*) FROM unguarded');
is($out, 1, 'other tables are as they were');
($result, $out, $err) = ask('app', 'SELECT * FROM tenant');
like($err, qr/shared_preload_libraries/, 'the error says what is missing');
($result, $out, $err) = ask('postgres', q{LOAD 'privacy_guard'});
isnt($result, 0, 'the library cannot be loaded into one session');

$node->adjust_conf('postgresql.conf', 'shared_preload_libraries',
	"'privacy_guard'");
$node->restart;
foreach my $table (@tables)
{
	my ($result, $out) = ask('app', "SELECT count(*) FROM $table");
	is( $out,
		$table eq 'inh' ? 6 : 3,
		"with the library again, nothing has changed in $table");
}

$node->stop;
done_testing();
