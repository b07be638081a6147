# Erased data subjects: the secret behind their hashes as a file that is made, lost, opened to others, replaced and
# put back; that no message of the server names them; that the audit writer does not bring them back; and a dump and
# restore.
# Not an SQL test: SQL sees neither the files nor the log, and cannot start a second server.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use AuditedNode;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = audited_node(
	[],
	"log_statement = 'none'",
	"privacy_guard.erase_interval = 1");
my $secret = $node->data_dir . '/privacy_guard_suppression.key';
my $key = 4711471147;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# With SQLSTATE, and in a session that works.
sub outcome
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql(
		'postgres',
		"SET client_min_messages = error; BEGIN; SET LOCAL privacy_guard.purpose = 'care'; $sql; COMMIT;",
		extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return $err =~ /ERROR:\s+(\w+)/ ? $1 : $out;
}

sub erase
{
	my ($subject) = @_;
	return outcome(
		"SELECT privacy_guard.erase_subject('$subject', 'letter', 'person') ->> 'status'"
	);
}

sub secret_mode { return sprintf '%o', (stat $secret)[2] & 07777; }

# Making it ----------------------------------------------------------------------------------------------------------

ok(!-e $secret, 'nothing is made before it is needed');
is(outcome("INSERT INTO person VALUES ($key, 'k')"), '', 'a person');
is(erase($key), 'erased', 'is erased');
is(secret_mode(), '600', 'the secret is its user\'s alone');
my $first = slurp_file($secret);
like($first, qr/^[0-9a-f]{64}\n$/, 'and 32 bytes');
is(outcome("INSERT INTO person VALUES ($key, 'k')"),
	'42501', 'who was erased does not come back');
is(outcome("INSERT INTO person VALUES (21, 'k')"), '', 'others come');
is(scalar(grep { /\.tmp$/ } glob $node->data_dir . '/*.key*'),
	0, 'no draft is left');

# Losing it ----------------------------------------------------------------------------------------------------------

chmod 0640, $secret;
is(outcome("INSERT INTO person VALUES (22, 'k')"),
	'F0000', 'a secret that others may read is not used');
is(erase(3), 'F0000', 'nor is anybody erased with it');
is(outcome("INSERT INTO person VALUES (21, 'k')"),
	'23505', 'who has a number needs no secret');
is(outcome('UPDATE person SET name = name WHERE id = 21'),
	'', 'nor to change');
chmod 0600, $secret;
is(outcome("INSERT INTO person VALUES (22, 'k')"), '', 'until it is closed');

rename $secret, "$secret.away" or die;
is(outcome("INSERT INTO person VALUES (23, 'k')"), 'F0000', 'it is missed');
sql('SELECT privacy_guard_internal.audit_flush()');
is(outcome("INSERT INTO person VALUES (23, 'k')"),
	'F0000', 'also when the failure is on record');
is(erase(3), 'F0000', 'at once');
ok(!-e $secret, 'and not made anew');
is(outcome('SELECT count(*) FROM person'), '22', 'reading goes on');
is(log_is_sound(), '', 'and so does the log');

append_to_file($secret, ('0' x 64) . "\n");
chmod 0600, $secret;
is(outcome("INSERT INTO person VALUES (23, 'k')"),
	'F0000', 'another one is told from it');
is(erase(3), 'F0000', 'before anything is erased');
is( outcome(
		"SELECT count(*) FROM privacy_guard.accesses_to('$key', 'person')"),
	'F0000',
	'and no auditor is told that there is nothing');
unlink $secret;
append_to_file($secret, "no secret\n");
chmod 0600, $secret;
is(outcome("INSERT INTO person VALUES (23, 'k')"), 'F0000', 'so is none');
unlink $secret;
mkdir $secret;
is(outcome("INSERT INTO person VALUES (23, 'k')"), 'F0000', 'a directory');
rmdir $secret;
symlink "$secret.away", $secret;
is(outcome("INSERT INTO person VALUES (23, 'k')"), '',
	'a link to it is good');
unlink $secret;

# Elsewhere, in a file of the administrator's.
rename "$secret.away", "$secret.moved" or die;
$node->append_conf('postgresql.conf',
	"privacy_guard.suppression_key_file = '$secret.moved'");
$node->reload;
ok( eventually(sub { outcome("INSERT INTO person VALUES (24, 'k')") eq '' }),
	'the setting is followed');
is(outcome("SET privacy_guard.suppression_key_file = 'x'"),
	'55P02', 'by the configuration only');
is(outcome("INSERT INTO person VALUES ($key, 'k')"),
	'42501', 'and the hashes still fit');

# What is left -------------------------------------------------------------------------------------------------------

# An access to the person that the writer hears of afterwards must not bring his key back.
my $reader = client('reader');
is(outcome("INSERT INTO person VALUES (${key}9, 'late')"), '', 'another one');
sql('SELECT privacy_guard.verify_audit_log()');
is(erase("${key}9"), 'erased', 'is erased');
say_to($reader, "BEGIN; INSERT INTO person VALUES (${key}9, 'x'); ROLLBACK;");
wait_for($reader);
is(log_is_sound(), '', 'the log is sound');
is( sql("SELECT count(*) FROM privacy_guard.subject_state WHERE key LIKE '$key%'"
	),
	0,
	'the writer gives no new number');
is( sql("SELECT count(*) > 0 FROM privacy_guard.accesses_to('${key}9', 'person')"
	),
	't',
	'the old one is found by the key');

unlike(
	join("\n", grep { !/STATEMENT/ } split /\n/, slurp_file($node->logfile)),
	qr/$key/,
	'no message of the server names him');

# A dump and restore -------------------------------------------------------------------------------------------------

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
sql(q{CREATE ROLE dumper SUPERUSER LOGIN;
	SELECT privacy_guard.exempt_role('dumper', 'backup')});
$node->command_ok(
	[
		'pg_dump', '-h', $node->host, '-p',
		$node->port, '-U', 'dumper', '-f',
		$dump, 'postgres'
	],
	'a dump');
unlike(slurp_file($dump), qr/$key/, 'which does not hold the key');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[
		'psql', '-Xq', '-h', $node->host,
		'-p', $node->port, '-v', 'ON_ERROR_STOP=1',
		'-d', 'restored', '-f', $dump
	],
	'is restored');
$node->safe_psql('restored', 'SELECT privacy_guard.finish_restore()');
my (undef, undef, $err) = $node->psql('restored',
	"BEGIN; SET LOCAL privacy_guard.purpose = 'care'; INSERT INTO person VALUES ($key, 'k')"
);
like($err, qr/was erased/, 'and who was erased stays out there, too');

# What the eraser does afterwards ------------------------------------------------------------------------------------

is( outcome(
		"SELECT privacy_guard.place_hold('case 1', '6', 'person', 'person')"),
	'', 'a hold');
is(erase(6), 'kept', 'keeps a person');
is(outcome("SELECT privacy_guard.release_hold('case 1')"),
	'', 'until it ends');
ok( eventually(
		sub {
			sql("SELECT count(*) FROM privacy_guard.erasure WHERE status = 'kept'"
			) eq '0';
		}),
	'then the eraser finishes it');
is(outcome("INSERT INTO person VALUES (6, 'k')"), '42501', 'for good');
is( outcome(
		"SELECT privacy_guard.erase_subject('7', 'letter', 'person', '1 second') ->> 'status'"
	),
	'erased',
	'of another nothing needs to be proved');
ok( eventually(
		sub {
			sql(q{SELECT count(*) FROM privacy_guard.suppressed_subject WHERE proof_until < now() + interval '1 day'}
			) eq '0';
		}),
	'his hash goes');
is(outcome("INSERT INTO person VALUES (7, 'k')"), '', 'and he is anybody');
is(sql("SELECT count(*) FROM privacy_guard.accesses_to('7', 'person')"),
	'1', 'whose past nobody can find');
is(log_is_sound(), '', 'in a sound log');

# Giving it up -------------------------------------------------------------------------------------------------------

unlink "$secret.moved";
is(outcome("INSERT INTO person VALUES (25, 'k')"), 'F0000', 'it is lost');
is( outcome("SELECT privacy_guard.end_suppression('secret lost', 'person')"),
	'', 'a steward ends it');
is(outcome("INSERT INTO person VALUES (25, 'k')"),
	'', 'new people come again');
is(erase(4), 'erased', 'and go');
ok(-e "$secret.moved", 'with a new secret');
isnt(slurp_file("$secret.moved"), $first, 'a new one');

$node->stop;
done_testing();
