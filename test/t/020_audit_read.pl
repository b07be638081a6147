# Reading the audit log: what auditors are told, that nobody else is told anything, and that a dump by an
# exempt role holds the log. The records are made here, without the library's encoder, and some of
# them are damaged.
# Not an SQL test, because the log can only be written by hand in a server without the library.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The same superuser whoever runs the tests.
BEGIN { $ENV{PGUSER} = q(postgres) }

# Records (RFC 8949) ---------------------------------------------------------------------------------

my %field = (
	kind => 1,
	time => 2,
	session => 3,
	execution => 4,
	session_user => 5,
	current_user => 6,
	application_user => 7,
	application_name => 8,
	address => 9,
	pid => 10,
	purpose => 11,
	purpose_version => 12,
	legal_basis => 13,
	rule => 14,
	operation => 15,
	relation => 16,
	relation_oid => 17,
	columns => 18,
	recipient => 19,
	fingerprint => 20,
	rows => 21,
	withheld => 22,
	outcome => 23,
	sqlstate => 24,
	reason => 25,
	count => 26,
	object => 27,
	old => 28,
	new => 29,
	text => 30,
	last_execution => 31,
	exempt => 32,
	subjects => 33);
my %kind = (
	access => 1,
	denial => 2,
	rollback => 3,
	policy => 4,
	writer => 8);
my %outcome = (open => 0, completed => 1, failed => 2);

sub head
{
	my ($major, $number) = @_;
	return pack('C', $major << 5 | $number) if $number < 24;
	return pack('CC', $major << 5 | 24, $number) if $number < 2**8;
	return pack('Cn', $major << 5 | 25, $number) if $number < 2**16;
	return pack('CN', $major << 5 | 26, $number) if $number < 2**32;
	return pack('CQ>', $major << 5 | 27, $number);
}

sub item
{
	my ($value) = @_;
	return head(4, scalar @$value) . join('', map { item($_) } @$value)
	  if ref $value eq 'ARRAY';
	return head(2, length $$value) . $$value if ref $value eq 'SCALAR';
	# Texts of digits only have a blank in front.
	return head(0, $value) if $value =~ /^[0-9]+$/;
	$value =~ s/^ //;
	return head(3, length $value) . $value;
}

my $began = 1577836800;    # 2020-01-01

# record(kind, minute, field => value...)
sub record
{
	my ($kind, $minute, %value) = @_;
	$value{kind} = $kind{$kind};
	$value{time} = ($began + 60 * $minute) . '000000';
	$value{outcome} = $outcome{ $value{outcome} } if defined $value{outcome};
	my @names = sort { $field{$a} <=> $field{$b} } keys %value;
	my $bytes =
	  head(5, scalar @names)
	  . join('', map { head(0, $field{$_}) . item($value{$_}) } @names);
	return { bytes => $bytes, kind => $value{kind}, minute => $minute };
}

# An access by the application, as most are.
sub access
{
	my ($minute, $execution, $outcome, $subjects, %more) = @_;
	return record(
		'access', $minute,
		session => '6955b900.1a2b',
		execution => $execution,
		session_user => 'app',
		current_user => 'app',
		purpose => 'care',
		legal_basis => 'contract',
		operation => 'Access',
		relation => 'public.customer',
		rows => scalar(ref $subjects eq 'ARRAY' ? @$subjects : 1),
		outcome => $outcome,
		subjects => $subjects,
		%more);
}

# The 64-bit Roaring format: one bucket with one array container.
sub roaring
{
	my @numbers = @_;
	return pack('Q<VVVvvVv*', 1, 0, 12346, 1, 0, @numbers - 1, 16, @numbers);
}

my $bitmap = roaring(1, 50 .. 99);
my $no_bitmap = 'no set at all';

my @segments = (
	{
		level => 1,
		subjects => [ 1, 2, 3, 50 .. 99 ],
		records => [
			record('writer', 0, operation => 'start'),
			access(
				1, 1, 'completed', [1],
				fingerprint => 77,
				columns => [ 'id', 'name' ],
				pid => 6699,
				address => '10.0.0.1'),
			access(2, 2, 'completed', [ 1, 2 ], application_user => 'alice'),
			access(3, 5, 'open', [1]),
			access(3, 5, 'open', [2]),
			access(4, 5, 'completed', [3]),
			record(
				'denial', 5,
				session_user => 'app',
				current_user => 'app',
				purpose => 'care',
				sqlstate => ' 42501',
				reason => 'not entitled',
				count => 100),
			access(6, 9, 'completed', [2]),
			record(
				'rollback', 7,
				session => '6955b900.1a2b',
				execution => 8,
				last_execution => 10),
			access(8, 20, 'open', [3]),
			access(9, 21, 'completed', \$bitmap),
			record(
				'policy', 10,
				operation => 'UPDATE',
				object => 'purpose',
				old => '{"version": 1}',
				new => '{"version": 2}'),
			{ bytes => "\xa2\x01garbage" },
			record('policy', 12, old => '{"half'),
			access(13, 22, 'completed', \$no_bitmap),
			access(
				14, 23, 'completed', [60],
				application_name => "bad \xff text"),
			record('writer', 15, operation => 'stop', reason => 'shutdown')
		]
	},
	{
		level => 0,
		subjects => [1],
		records => [
			record('writer', 30, operation => 'start'),
			access(31, 30, 'open', [1], session => '6955c000.1')
		]
	},
	{
		level => 0,
		subjects => [ 2, 4 ],
		records => [
			access(
				32, 30, 'failed', [2],
				session => '6955c000.1',
				sqlstate => ' 22012'),
			access(
				33, 1, 'completed', [4],
				session => '6955c000.2',
				session_user => 'clerk',
				current_user => 'clerk')
		]
	},
	# The last length leads nowhere.
	{
		level => 0,
		subjects => [],
		records => [
			record('writer', 40, operation => 'gap', reason => 'crash'),
			record('writer', 40, operation => 'start'),
			record('writer', 41, operation => 'stop', reason => 'shutdown'),
			record(
				'writer', 50,
				operation => 'gap',
				reason => 'library absent'),
			record('writer', 50, operation => 'start')
		],
		tail => "\x7f\xff\xff\xff and nothing behind"
	});

# Rows of audit_segment as SQL.
sub rows
{
	my $leaf = 0;
	my @rows;
	foreach my $segment (@segments)
	{
		my @records = @{ $segment->{records} };
		my @minutes =
		  map { $_->{minute} } grep { defined $_->{minute} } @records;
		my $kinds = 0;
		$kinds |= 1 << $_->{kind} foreach grep { $_->{kind} } @records;
		my $bytes = join('',
			map { pack('N', length $_->{bytes}) . $_->{bytes} } @records)
		  . ($segment->{tail} // '');
		push @rows,
		  sprintf(
			q{(0, %d, %d, %s, %d, %s, %s, %d, '{%s}', '\x%s', '', '', '')},
			$leaf, scalar(@records),
			minute($minutes[-1]), $segment->{level},
			minute($minutes[0]), minute($minutes[-1]),
			$kinds, join(',', @{ $segment->{subjects} }),
			unpack('H*', $bytes));
		$leaf += @records;
	}
	return join(",\n", @rows);
}

sub minute
{
	my ($minute) = @_;
	return 'to_timestamp(' . ($began + 60 * $minute) . ')';
}

# The log ------------------------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(
	extra => [ "--username=postgres", "--encoding=UTF8", "--locale=C" ]);
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'privacy_guard'");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE crm');
$node->safe_psql(
	'crm', q{
	CREATE EXTENSION privacy_guard CASCADE;
	CREATE ROLE auditor LOGIN IN ROLE privacy_guard_auditor;
	CREATE ROLE steward LOGIN IN ROLE privacy_guard_steward;
	CREATE ROLE super LOGIN SUPERUSER;
	CREATE ROLE owner LOGIN;
	CREATE ROLE app LOGIN;
	CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
	CREATE ROLE backup LOGIN BYPASSRLS IN ROLE pg_read_all_data;
	GRANT CREATE ON SCHEMA public TO owner;
	SELECT privacy_guard.create_purpose('care', 'contract');
	SELECT privacy_guard.create_purpose('mail', 'consent');
	SELECT privacy_guard.create_subject_category('customer', 'integer');
	SELECT privacy_guard.grant_collection('mail', current_user::regrole);
	SELECT privacy_guard.record_consent(k::text, 'mail') FROM generate_series(101, 104) k;
});
my $numbers = $node->safe_psql('crm',
	q{SELECT string_agg(key || '=' || subject, ' ' ORDER BY key) FROM privacy_guard.subject_state}
);
is($numbers, '101=1 102=2 103=3 104=4', 'subjects are numbered');

# The values need the library, the table of the log its absence.
my $partition = 'privacy_guard_internal.audit_segment_202001';
$node->safe_psql(
	'crm', qq{
	CREATE TABLE crafted (LIKE privacy_guard.audit_segment INCLUDING ALL);
	INSERT INTO crafted VALUES @{[ rows() ]};
	CREATE INDEX ON crafted USING gin (subjects) WHERE level > 0;
});
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->restart;
$node->safe_psql(
	'crm', qq{
	ALTER TABLE privacy_guard.audit_origin DISABLE TRIGGER policy_changed;
	INSERT INTO privacy_guard.audit_origin (origin_id, name, system_identifier, database, reason)
		VALUES (0, 'crafted', 1, 1, 'test');
	ALTER TABLE privacy_guard.audit_origin ENABLE ALWAYS TRIGGER policy_changed;
	INSERT INTO privacy_guard.audit_statement VALUES (77, 'SELECT name FROM customer WHERE id = \$1', now());
	INSERT INTO privacy_guard.subject_alias VALUES (1, '101', 60), (1, '199', 61);
	ALTER TABLE crafted RENAME TO audit_segment_202001;
	ALTER TABLE audit_segment_202001 SET SCHEMA privacy_guard_internal;
	ALTER TABLE privacy_guard.audit_segment ATTACH PARTITION $partition
		FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-02-01 00:00Z');
});
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries',
	"'privacy_guard'");
$node->restart;

sub ask
{
	my ($role, $sql, $database) = @_;
	my ($result, $out, $err) =
	  $node->psql($database // 'crm', $sql, extra_params => [ '-U', $role ]);
	return ($out, $err);
}

sub answer
{
	my ($sql) = @_;
	my ($out, $err) = ask('auditor',
		"SET timezone = 'UTC'; SET client_min_messages = notice; $sql");
	# Damage is told once; there is a test of its own for that.
	$err =~
	  s/^psql:<stdin>:\d+: WARNING:  records of the audit log that cannot be read: \d+\n?//m
	  and $err =~ s/^HINT:  They may .*\n?//m;
	return $out . $err =~ s/psql:<stdin>:\d+: //gr;
}

# What auditors are told ---------------------------------------------------------------------------

sub told
{
	return answer(
		q{SELECT string_agg(leaf_index || ' ' || kind || coalesce(' ' || outcome, ''), ', ' ORDER BY leaf_index)
			FROM privacy_guard.audit_log WHERE origin = 'crafted'});
}
my $everything =
  '0 writer, 1 access completed, 2 access completed, 3 access open, 4 access open, '
  . '5 access completed, 6 denial, 7 access rolled_back, 8 rollback, 9 access open, 10 access completed, '
  . '11 policy, 12 unreadable, 13 unreadable, 14 unreadable, 15 unreadable, 16 writer, 17 writer, '
  . '18 access open, 19 access failed, 20 access completed, 21 writer, 22 writer, 23 writer, 24 writer, 25 writer, 26 unreadable';
is(told(), $everything, 'the log shows each record');
is( answer(
		q{SELECT recorded_at, session_role, role, client_address, backend_pid, purpose, legal_basis, operation, relation,
				columns, rows, subjects, statement, encode(substr(record, 1, 3), 'hex')
			FROM privacy_guard.audit_log WHERE origin = 'crafted' AND leaf_index = 1}
	),
	'2020-01-01 00:01:00+00|app|app|10.0.0.1|6699|care|contract|Access|public.customer|'
	  . '{id,name}|1|{1}|SELECT name FROM customer WHERE id = $1|b10101',
	'and what it holds');
is( answer(
		q{SELECT old ->> 'version', new ->> 'version', object FROM privacy_guard.audit_log WHERE origin = 'crafted' AND leaf_index = 11}
	),
	'1|2|purpose',
	'old and new values');
is( answer(
		q{SELECT cardinality(subjects), subjects @> 99::bigint FROM privacy_guard.audit_log WHERE origin = 'crafted' AND leaf_index = 10}
		  =~ s/cardinality|@>/$& eq '@>' ? 'OPERATOR(privacy_guard.@>)' : 'privacy_guard.cardinality'/ger
	),
	'51|t',
	'many subjects');
is( answer(
		q{SELECT convert_from(substr(record, 5), 'UTF8') FROM privacy_guard.audit_log WHERE kind = 'unreadable' AND leaf_index = 26}
	) =~ s/^\W+//r,
	'and nothing behind',
	'what cannot be read is shown as it is');

sub leaves
{
	my ($function) = @_;
	return answer(
		"SELECT string_agg(leaf_index || coalesce(' ' || outcome, '') || coalesce(' ' || rows, ''), ', ' ORDER BY leaf_index) "
		  . "FROM privacy_guard.$function a");
}
is(leaves("accesses_to('104')"), '20 completed 1', 'who saw a person');
is( leaves("accesses_to('102')"),
	'2 completed 2, 4 completed 1, 7 rolled_back 1, 19 failed 1',
	'parts are joined with their end; what was rolled back says so');
is( leaves("accesses_to('103')"),
	'5 completed 1, 9 open 1',
	'an intent without its end stays open');
like(
	leaves("accesses_to('101')"),
	qr/^1 completed 1, 2 completed 2, 3 completed 1, 10 completed 1, 18 failed 1$/,
	'both numbers of a person are looked for');
my ($out, $err) =
  ask('auditor', q{SELECT count(*) FROM privacy_guard.accesses_to('101')});
is(() = $err =~ /WARNING/g,
	1, 'damaged records are not passed over in silence');
like($err, qr/cannot be read: 3\n/, '... which may have named the person');
is( leaves("accesses_to('199')"),
	'10 completed 1',
	'a person who has only an alias');
is( leaves(
		"accesses_to('101', since => @{[ minute(2) ]}, until => @{[ minute(9) ]})"
	),
	'2 completed 2, 3 completed 1',
	'times are half-open');
is( leaves("accesses_to('101', since => '-infinity', until => 'infinity')"),
	'1 completed 1, 2 completed 2, 3 completed 1, 10 completed 1, 18 failed 1',
	'and may be infinite');
is(leaves("accesses_to('101', since => 'infinity')"), '', 'both ways');
is( leaves("accesses_to('4711')"),
	'NOTICE:  nothing is on record about this data subject of category "customer"'
	  . "\nHINT:  Check the key.",
	'nobody knows the person');
like(leaves("accesses_to('x')"), qr/ERROR:  invalid key/, 'no key');
like(leaves("accesses_to('1', 'lead')"), qr/ERROR:  .*"lead"/, 'no category');
like(
	leaves("accesses_to(NULL)"),
	qr/ERROR:  parameter "subject" must not be null/,
	'no subject');
like(
	leaves("accesses_to('1', NULL)"),
	qr/ERROR:  parameter "subject_category" must not be null/,
	'no category');

is( leaves("accesses_by('alice')"),
	'2 completed 2',
	'what an application user saw');
is(leaves("accesses_by('clerk')"), '20 completed 1', 'what a role saw');
is( leaves("accesses_by('app', until => @{[ minute(9) ]})"),
	'1 completed 1, 2 completed 2, 3 completed 3, 7 rolled_back 1, 9 open 1',
	'one row an execution');
is( answer(
		q{SELECT subjects FROM privacy_guard.accesses_by('app') WHERE leaf_index = 3}
	),
	'{1-3}',
	'with the subjects of all its parts');
like(
	leaves("accesses_by(NULL)"),
	qr/ERROR:  parameter "actor" must not be null/,
	'no actor');
is(leaves("accesses_by('nobody')"), '', 'who saw nothing');

is( answer(
		q{SELECT session_role, purpose, sqlstate, reason, count, leaf_index FROM privacy_guard.denials() WHERE origin = 'crafted'}
	),
	'app|care|42501|not entitled|100|6',
	'what was refused');

is(leaves("audit_records(until => '2020-02-01', last_records => 2)"),
	'25, 26', 'the end of the log');
is( leaves("audit_records(until => '2020-02-01', subject_number => 3)"),
	'5 completed 1, 9 open 1, 12, 14',
	'records about a number, and what may be about it');
is( leaves(
		"audit_records(until => '2020-02-01', subject_number => 3, last_records => 3)"
	),
	'9 open 1, 12, 14',
	'the last of them');
is( leaves(
		"audit_records(until => '2020-02-01', subject_number => 3, actor => 'alice')"
	),
	'12, 14',
	'by somebody');
is( leaves(
		"audit_records(kinds => '{denial,rollback}', until => '2020-02-01')"),
	'6, 8, 12',
	'of some kinds');
is(leaves("audit_records(kinds => '{}')"), '', 'of no kind');
like(
	leaves("audit_records(kinds => '{visit}')"),
	qr/ERROR:  there is no such kind of record/,
	'of an unknown kind');
is( leaves(
		"audit_records(since => @{[ minute(31) ]}, until => @{[ minute(33) ]})"
	),
	'18 open 1, 19 failed 1',
	'of a time');

is( answer(
		q{SELECT state, since, until, reason FROM privacy_guard.protection_intervals WHERE relation IS NULL AND until < '2020-02-01'}
	),
	"server down|2020-01-01 00:15:00+00|2020-01-01 00:30:00+00|shutdown\n"
	  . "server down|2020-01-01 00:33:00+00|2020-01-01 00:40:00+00|crash\n"
	  . "library absent|2020-01-01 00:41:00+00|2020-01-01 00:50:00+00|library absent",
	'when nothing was recorded');

# Readers are on record themselves, before they are answered.
leaves("accesses_to('103')");
is( answer(
		q{SELECT session_role, role, operation, object, subjects, record::text LIKE '%313033%'
			FROM privacy_guard.audit_records(kinds => '{read}', last_records => 2) LIMIT 1}
	),
	'auditor|auditor|Access|accesses_to|{3}|f',
	'a reading is on record, without the key');
is( answer(
		q{SELECT string_agg(DISTINCT object, ',' ORDER BY object) FROM privacy_guard.audit_records(kinds => '{read}', actor => 'auditor')}
	),
	'accesses_by,accesses_to,audit_log,denials,protection_intervals',
	'whatever the function');

# Damage -------------------------------------------------------------------------------------------

my $damaged = $node->safe_psql(
	'crm', qq{
	SELECT setseed(0.5);
	CREATE FUNCTION damaged(bytes bytea, times int) RETURNS bytea LANGUAGE plpgsql AS \$\$
	BEGIN
		FOR i IN 1 .. times LOOP
			bytes := set_byte(bytes, floor(random() * length(bytes))::int, floor(random() * 256)::int);
		END LOOP;
		RETURN CASE WHEN random() < 0.2 THEN substr(bytes, 1, floor(random() * length(bytes))::int) ELSE bytes END;
	END \$\$;
	SELECT count(*) > 20000, count(DISTINCT d.kind) > 3, bool_or(d.kind = 'unreadable')
	  FROM generate_series(1, 5000) g
	 CROSS JOIN LATERAL privacy_guard_internal.audit_decode(
		damaged('\\x@{[ unpack('H*', join('', map { pack('N', length $_->{bytes}) . $_->{bytes} } @{ $segments[0]->{records} })) ]}', 1 + g % 5), 0) d;
});
like($damaged, qr/t\|t\|t$/,
	'damaged bytes are shown as far as they can be read');

# Nobody else --------------------------------------------------------------------------------------

$node->safe_psql(
	'crm', q{
	SET ROLE owner;
	CREATE TABLE customer (id int PRIMARY KEY, name text);
	INSERT INTO customer SELECT g, 'name of ' || g FROM generate_series(101, 104) g;
	GRANT ALL ON customer TO app;
	RESET ROLE;
	SELECT privacy_guard.protect('customer', subject_column => 'id');
	SELECT privacy_guard.permit('customer', 'care');
	SELECT privacy_guard.exempt_role('backup', 'dumps');
	GRANT USAGE ON SCHEMA privacy_guard_internal TO super;
	GRANT SELECT ON ALL TABLES IN SCHEMA privacy_guard, privacy_guard_internal TO owner;
	CREATE FUNCTION lent() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM privacy_guard.audit_log';
	CREATE FUNCTION lent_table() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN RETURN (SELECT count(*) FROM privacy_guard.audit_segment); END $$;
	ALTER FUNCTION lent() OWNER TO auditor;
	CREATE VIEW copied AS SELECT * FROM privacy_guard.audit_segment;
	GRANT SELECT ON copied TO app, owner;
});
my @by_function = (
	'SELECT * FROM privacy_guard.audit_log',
	'SELECT * FROM privacy_guard.audit_records()',
	q{SELECT * FROM privacy_guard.accesses_to('101')},
	q{SELECT * FROM privacy_guard.accesses_by('app')},
	'SELECT * FROM privacy_guard.denials()',
	'SELECT * FROM privacy_guard.protection_intervals',
	'SELECT * FROM privacy_guard.protection_history()',
	'SELECT * FROM lent()',
	q{SELECT * FROM privacy_guard_internal.accesses_to('101')},
	'SELECT * FROM privacy_guard_internal.all_records(NULL, NULL, NULL, NULL, NULL)'
);
my @by_table = (
	'SELECT * FROM privacy_guard.audit_segment',
	"SELECT * FROM $partition",
	"TABLE $partition",
	"SELECT count(*) FROM ONLY $partition",
	'SELECT * FROM copied',
	'SELECT * FROM lent_table()',
	'SELECT * FROM privacy_guard.audit_statement',
	'SELECT * FROM privacy_guard.audit_origin',
	'SELECT 1 WHERE EXISTS (SELECT FROM privacy_guard.audit_segment)',
	'WITH s AS (SELECT * FROM privacy_guard.audit_segment) SELECT count(*) FROM s',
	"COPY $partition TO STDOUT",
	"COPY $partition (records) TO STDOUT",
	"COPY privacy_guard.audit_statement TO STDOUT",
	"COPY (SELECT * FROM privacy_guard.audit_segment) TO STDOUT",
	"BEGIN; CREATE TEMP TABLE mine AS SELECT * FROM $partition; TABLE mine",
	"SELECT * INTO TEMP mine FROM $partition; TABLE mine",
	"BEGIN; DECLARE c CURSOR FOR SELECT * FROM $partition; FETCH ALL FROM c",
	"PREPARE p AS SELECT * FROM $partition; EXECUTE p",
	"EXPLAIN ANALYZE SELECT * FROM $partition",
	"DO \$\$ BEGIN RAISE NOTICE '%', (SELECT array_agg(records) FROM $partition); END \$\$",
	"SELECT * FROM $partition TABLESAMPLE system (100)",
	"BEGIN; DELETE FROM $partition RETURNING records",
	"BEGIN; UPDATE $partition SET level = 3 RETURNING records");
foreach my $role (qw(app owner steward super postgres))
{
	foreach my $sql (@by_function, @by_table)
	{
		($out, $err) = ask($role, $sql);
		ok($out eq '' || $out =~ /^BEGIN$/m, "$role reads nothing: $sql");
		like(
			$err,
			qr/ERROR:  (must be a member of role|permission denied|table "\w+" is (read|written) by|no function of|records are made by|system catalog)/,
			'... and hears of it');
		unlike($err, qr/6955b900|\\x/, '... and of nothing else');
	}
}
foreach my $sql (
	'SET ROLE auditor; SELECT * FROM privacy_guard.audit_log',
	'SET SESSION AUTHORIZATION auditor; SELECT * FROM privacy_guard.audit_log',
	"SET ROLE backup; SELECT * FROM $partition",
	"SET SESSION AUTHORIZATION backup; COPY $partition TO STDOUT",
	'GRANT privacy_guard_auditor TO super; SELECT * FROM privacy_guard.audit_log',
	"ALTER TABLE privacy_guard.audit_segment DETACH PARTITION $partition",
	"ALTER TABLE $partition SET SCHEMA public",
	"ALTER TABLE $partition RENAME TO other",
	"DROP TABLE $partition",
	"TRUNCATE $partition",
	"CREATE INDEX ON $partition (length(records))",
	"INSERT INTO $partition SELECT * FROM $partition LIMIT 0")
{
	($out, $err) = ask('super', $sql);
	unlike($out, qr/\w/, "a superuser reads nothing: $sql");
	like($err, qr/ERROR/, '... and hears of it');
}
($out, $err) = ask('auditor', "SELECT * FROM $partition");
like($err, qr/ERROR/, 'nor does an auditor read the table');
($out, $err) = ask('monitor',
	q{SELECT item FROM privacy_guard.status WHERE item LIKE 'audit%'});
is( $out . $err,
	"audit durability\naudit writer\naudit log\naudit log last stored\naudit log last checkpoint",
	'monitoring sees its state');

# Dumps --------------------------------------------------------------------------------------------

sub dump_as
{
	my ($role, $file) = @_;
	return run_log(
		[
			'pg_dump', '-h', $node->host, '-p', $node->port, '-U',
			$role, '-F', 'custom', '-f', $file, 'crm'
		]);
}
my $file = $node->basedir . '/dump';
ok(!dump_as('super', $file), 'a dump by somebody else fails');
ok(dump_as('backup', $file), 'a dump by an exempt role does not');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok(
	[
		'pg_restore', '--exit-on-error', '-h', $node->host,
		'-p', $node->port, '-d', 'restored',
		$file
	],
	'it restores');
my $restored = sub {
	my ($role, $sql) = @_;
	return join('', ask($role, $sql, 'restored'));
};
like(
	$restored->('super', "COPY $partition TO STDOUT"),
	qr/ERROR:  table .* is read by/,
	'a restored log is as secret');
$node->safe_psql('restored', 'SELECT privacy_guard.finish_restore()');
is( $restored->(
		'auditor',
		q{SELECT string_agg(leaf_index || ' ' || kind || coalesce(' ' || outcome, ''), ', ' ORDER BY leaf_index)
			FROM privacy_guard.audit_log WHERE origin = 'crafted'}
	),
	$everything,
	'and whole');

# A database that guards nothing yet can be dumped by anybody.
$node->safe_psql('postgres', 'CREATE DATABASE empty');
$node->safe_psql('empty', 'CREATE EXTENSION privacy_guard CASCADE');
command_ok(
	[
		'pg_dump', '-h', $node->host, '-p', $node->port, '-U',
		'super', '-f', $file, 'empty'
	],
	'an empty log is no secret');

$node->stop;
done_testing();
