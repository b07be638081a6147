# A dump by an exempt role is whole, restores into another cluster, and after finish_restore() decides
# as before; until then nobody reads. A dump by any other role is an error, never a part of the data.
# Not an SQL test, because it runs pg_dump and needs a second cluster.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The same superuser whoever runs the tests.
BEGIN { $ENV{PGUSER} = q(postgres) }

sub make_node
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => ["--username=postgres"]);
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'privacy_guard'");
	$node->start;
	$node->safe_psql(
		'postgres', q{
		CREATE ROLE app LOGIN;
		CREATE ROLE clerk LOGIN;
		CREATE ROLE owner LOGIN;
		CREATE ROLE bypass LOGIN BYPASSRLS;
		CREATE ROLE super LOGIN SUPERUSER;
		CREATE ROLE backup LOGIN BYPASSRLS IN ROLE pg_read_all_data;
		CREATE ROLE late_backup LOGIN BYPASSRLS IN ROLE pg_read_all_data;
	});
	return $node;
}

# What each role sees, and what is on record.
sub decisions
{
	my ($node, $database) = @_;
	my $text = '';
	foreach my $case (
		[ 'app', 'marketing' ],
		[ 'app', 'billing' ],
		[ 'clerk', 'billing' ],
		[ 'owner', 'marketing' ],
		[ 'super', 'marketing' ])
	{
		my ($role, $purpose) = @$case;
		foreach my $table (
			qw(customer orders event event_1 contact contact_vip tenant own))
		{
			my ($result, $out, $err) = $node->psql(
				$database,
				"BEGIN; SET LOCAL privacy_guard.purpose = '$purpose';
				 SELECT coalesce(string_agg(id::text, ',' ORDER BY id), 'none') FROM $table",
				extra_params => [ '-U', $role ]);
			$err =~ s/^psql:<stdin>:\d+: //;
			$err =~ s/\n.*//s;
			$text .= "$role, $purpose, $table: $out$err\n";
		}
	}
	$text .= $node->safe_psql(
		$database, q{
		SELECT 'rule', relation, purpose, effect, legal_basis FROM privacy_guard.rule ORDER BY relation::text, purpose, effect;
		SELECT 'table', relation, subject_columns, subject_via, consent_column, mode, prior_row_security, retention_start FROM privacy_guard.guarded_table ORDER BY relation::text;
		SELECT 'duration', relation, purpose, period, action, partitions, effective_from FROM privacy_guard.retention ORDER BY relation::text, purpose;
		SELECT 'child', relation, root FROM privacy_guard.guarded_child ORDER BY relation::text;
		SELECT 'grant', purpose, role, privilege FROM privacy_guard.purpose_grant ORDER BY 2, 3::text, 4;
		SELECT 'state', key, consent, objections, restricted FROM privacy_guard.subject_state ORDER BY category_id, key;
		SELECT 'records', count(*), count(DISTINCT record_id) FROM privacy_guard.consent_record;
	});
	return $text;
}

my $node = make_node('main');
$node->safe_psql('postgres', 'CREATE DATABASE crm');
$node->safe_psql(
	'crm', q{
	CREATE EXTENSION privacy_guard CASCADE;
	GRANT CREATE ON SCHEMA public TO owner;
	SET ROLE owner;
	CREATE TABLE customer (id int PRIMARY KEY, note text);
	CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customer ON DELETE CASCADE);
	CREATE TABLE event (id int, customer int) PARTITION BY RANGE (id);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (5);
	CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (5) TO (100);
	CREATE TABLE contact (id int, customer int, since date);
	CREATE TABLE contact_vip () INHERITS (contact);
	CREATE TABLE tenant (id int PRIMARY KEY, tenant int);
	CREATE TABLE own (id int PRIMARY KEY, agreed privacy_guard.consent);
	INSERT INTO customer SELECT g, 'note of ' || g FROM generate_series(1, 9) g;
	INSERT INTO orders SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO event SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO contact SELECT g, g, CASE g WHEN 2 THEN '2000-01-01' ELSE 'infinity' END::date FROM generate_series(1, 9) g;
	INSERT INTO contact_vip SELECT g, g FROM generate_series(1, 9) g;
	INSERT INTO tenant SELECT g, g % 2 FROM generate_series(1, 9) g;
	INSERT INTO own SELECT g, CASE WHEN g < 3 THEN privacy_guard.consent('marketing', 'given', 'expressed', now()) END FROM generate_series(1, 9) g;
	ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;
	CREATE POLICY one ON tenant USING (tenant = 1);
	GRANT ALL ON ALL TABLES IN SCHEMA public TO app, clerk, bypass;
	RESET ROLE;
	SELECT privacy_guard.create_purpose('marketing', 'consent');
	SELECT privacy_guard.create_purpose('marketing.email', 'consent');
	SELECT privacy_guard.create_purpose('billing', 'contract');
	SELECT privacy_guard.protect('customer', subject_column => 'id');
	SELECT privacy_guard.protect('orders', subject_via => 'customer');
	SELECT privacy_guard.protect('event', subject_column => 'customer');
	SELECT privacy_guard.protect('contact', subject_column => 'customer');
	SELECT privacy_guard.protect('tenant', subject_column => 'id');
	SELECT privacy_guard.protect('own', subject_column => 'id', consent_column => 'agreed');
	SELECT privacy_guard.permit(t::regclass, p)
	  FROM unnest('{customer,orders,event,contact,tenant,own}'::text[]) t, unnest('{marketing,billing}'::text[]) p;
	SELECT privacy_guard.prohibit('event', 'billing');
	SELECT privacy_guard.retain('contact', '1 year', 'since', effective_from => '2001-01-01');
	SELECT privacy_guard.retain('contact', '10 years', 'since', purpose => 'billing', action => 'anonymise', effective_from => '2100-01-01');
	SELECT privacy_guard.grant_purpose('marketing', r) FROM unnest('{app,owner,super}'::regrole[]) r;
	SELECT privacy_guard.grant_purpose('billing', 'clerk');
	SELECT privacy_guard.grant_collection('marketing', current_user::regrole);
	SELECT privacy_guard.record_consent(g::text, 'marketing', evidence => '{"by": "form"}') FROM generate_series(1, 6) g;
	SELECT privacy_guard.record_consent('7', 'marketing', valid_for => '1 year', channel => 'email');
	SELECT privacy_guard.withdraw_consent('4', 'marketing');
	SELECT privacy_guard.exempt_role('backup', 'dumps');
	SELECT privacy_guard.exempt_role('late_backup', 'dumps', now() - interval '1 second');
});
my $before = decisions($node, 'crm');
like($before, qr/^app, marketing, customer: 1,2,3,5,6$/m, 'consent decides');
like(
	$before,
	qr/^app, marketing, tenant: 1,3,5$/m,
	'and the own policy of a table');
like($before, qr/^app, marketing, own: 1,2,3,5,6$/m, 'and a consent column');
like($before, qr/^clerk, billing, event: ERROR/m, 'and a prohibition');
like(
	$before,
	qr/^app, marketing, contact: 1,1,2,3,3,5,5,6,6$/m,
	'and a storage duration');

# Dumps --------------------------------------------------------------------------------------------

my $dump = $node->basedir . '/dump';
foreach my $case (
	[ 'app', [] ],
	[ 'owner', [] ],
	[ 'bypass', [] ],
	[ 'super', [] ],
	[ 'late_backup', [] ],
	[ 'bypass', ['--enable-row-security'] ],
	[ 'super', ['--inserts'] ],
	[ 'super', [ '-t', 'customer' ] ],
	[ 'super', [ '-t', 'event_1' ] ])
{
	my ($role, $options) = @$case;
	my $file = $node->basedir . '/refused';
	unlink $file;
	my $ok = run_log(
		[
			'pg_dump', '-h', $node->host, '-p', $node->port, '-U', $role,
			'-f', $file, '--exclude-schema=privacy_guard',
			@$options, 'crm'
		]);
	ok(!$ok, "pg_dump @$options by $role fails");
	my $text = -e $file ? slurp_file($file) : '';
	unlike($text, qr/note of \d|^\d\t\d/m, '... and holds no row');
}
foreach my $format ('custom', 'plain')
{
	command_ok(
		[
			'pg_dump', '-h', $node->host, '-p',
			$node->port, '-U', 'backup', '-F',
			$format, '-f', "$dump.$format", 'crm'
		],
		"pg_dump to $format by the exempt role");
}
my $plain = slurp_file("$dump.plain");
my $rows = () = $plain =~ /note of \d/g;
is($rows, 9, 'the dump is whole');
unlike(
	$plain,
	qr/COPY privacy_guard\.identity/,
	'it does not hold the identity of the database');
command_ok(
	[
		'pg_dump', '-h', $node->host, '-p',
		$node->port, '-U', 'backup', '-j',
		'2', '-F', 'directory', '-f',
		"$dump.directory", 'crm'
	],
	'a parallel dump, too');

# Restores -----------------------------------------------------------------------------------------

my $other = make_node('other');
foreach my $case ([ 'custom', [] ], [ 'directory', [] ], [ 'plain', [] ])
{
	my ($format, $options) = @$case;
	$other->safe_psql('postgres', "CREATE DATABASE crm_$format");
	if ($format eq 'plain')
	{
		command_ok(
			[
				'psql', '-X',
				'-q', '-v',
				'ON_ERROR_STOP=1', '-h',
				$other->host, '-p',
				$other->port, '-U',
				$ENV{USER} || 'postgres', '-d',
				"crm_$format", '-f',
				"$dump.plain"
			],
			'the plain dump restores');
	}
	else
	{
		command_ok(
			[
				'pg_restore', '--exit-on-error',
				'-h', $other->host,
				'-p', $other->port,
				@$options, '-d',
				"crm_$format", "$dump.$format"
			],
			"the $format dump restores");
	}
	foreach my $role (qw(app clerk owner bypass super backup))
	{
		my ($result, $out, $err) = $other->psql(
			"crm_$format",
			"BEGIN; SET LOCAL privacy_guard.purpose = 'marketing'; SELECT * FROM customer",
			extra_params => [ '-U', $role ]);
		is($out, '', "pending: $role sees nothing") unless $role eq 'backup';
		like($err, qr/pending/, '... and hears why') unless $role eq 'backup';
	}
	my ($result, $out, $err) = $other->psql(
		"crm_$format",
		'COPY customer TO STDOUT',
		extra_params => [ '-U', 'super' ]);
	is($out, '', 'pending: nor by COPY');
	$other->safe_psql("crm_$format", 'SELECT privacy_guard.finish_restore()');
	is(decisions($other, "crm_$format"),
		$before, 'after finish_restore() the decisions are the same');
	$other->safe_psql("crm_$format",
		q{SELECT privacy_guard.withdraw_consent('1', 'marketing')});
	is( $other->safe_psql(
			"crm_$format",
			"BEGIN; SET LOCAL privacy_guard.purpose = 'marketing'; SELECT count(*) FROM customer",
			extra_params => [ '-U', 'app' ]),
		4,
		'and a withdrawal works there');
}

# Two workers load the tables of the extension in any order.
$other->safe_psql('postgres', 'CREATE DATABASE crm_parallel');
command_ok(
	[
		'pg_restore', '--exit-on-error',
		'-j', '2',
		'-h', $other->host,
		'-p', $other->port,
		'-d', 'crm_parallel',
		"$dump.directory"
	],
	'a parallel restore');
$other->safe_psql('crm_parallel', 'SELECT privacy_guard.finish_restore()');
is(decisions($other, 'crm_parallel'),
	$before, 'and decides the same when finished');

# A copy in the same cluster.
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE crm');
my ($result, $out, $err) = $node->psql(
	'copied',
	"BEGIN; SET LOCAL privacy_guard.purpose = 'marketing'; SELECT * FROM customer",
	extra_params => [ '-U', 'app' ]);
like($err, qr/pending/, 'a copy of the database is pending');
$node->safe_psql('copied', 'SELECT privacy_guard.finish_restore()');
is(decisions($node, 'copied'), $before, 'and decides the same when finished');
is(decisions($node, 'crm'), $before, 'which leaves the original alone');

# Dumping a dump's restore changes nothing.
command_ok(
	[
		'pg_dump', '-h', $other->host, '-p',
		$other->port, '-U', 'backup', '-s',
		'-f', "$dump.again", 'crm_custom'
	],
	'the restored database can be dumped');

$node->stop;
$other->stop;
done_testing();
