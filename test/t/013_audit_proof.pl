# The audit log's tree, proofs, checkpoints, verification and pruning, on a log that another program
# wrote (audit_log.py), so that formats and algorithms are made twice; and forged in every way.
# Not an SQL test: the library refuses to have the log changed, so the server is restarted without it.
# Until the last section no audit writer can start, so that the logs stay as they were made.
use strict;
use warnings;

use Digest::SHA qw(sha256);
use File::Basename;
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The same superuser whoever runs the tests.
BEGIN { $ENV{PGUSER} = q(postgres) }

my $here = dirname(__FILE__);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => ["--username=postgres"]);
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'privacy_guard'
privacy_guard.checkpoint_file = '$dir/checkpoints'
privacy_guard.checkpoint_interval = 1
privacy_guard.checkpoint_command = ''
privacy_guard.audit_databases = 64
privacy_guard.audit_buffers = 512kB
privacy_guard.audit_durability = async
privacy_guard.audit_timeout = 10ms
max_worker_processes = 0
privacy_guard.checkpoint_key_file = ''
});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE log');

sub sql { return $node->safe_psql('log', $_[0]); }

sub error
{
	my (undef, undef, $err) = $node->psql($_[1] // 'log', $_[0]);
	return $err;
}

sub python { return scalar run_it('python3', "$here/audit_log.py", @_); }

sub run_it
{
	my ($out, $err) = ('', '');
	IPC::Run::run(\@_, '>', \$out, '2>', \$err) or die "@_: $err";
	chomp $out;
	return $out;
}

sub restart
{
	my ($library) = @_;
	$node->adjust_conf('postgresql.conf', 'shared_preload_libraries',
		"'$library'");
	$node->restart;
}

# without_library(database, sql): what the library would refuse.
sub without_library
{
	my ($database, $sql) = @_;
	restart('');
	$node->safe_psql($database, $sql);
	restart('privacy_guard');
}

# The log: 1000 records in segments of all sizes, in three monthly partitions -----------------------

my @sizes = (1, 2, 3, 250, 1, 256, 300, 187);
my @months = (
	[ 202601, '2026-01-01' ],
	[ 202602, '2026-02-01' ],
	[ 202603, '2026-03-01' ],
	[ 202604, '2026-04-01' ]);

sql('CREATE EXTENSION privacy_guard CASCADE; GRANT privacy_guard_auditor TO postgres'
);
is(sql('SELECT count(*) FROM privacy_guard.audit_tree_head()'),
	0, 'no log, no tree head');
like(
	error('SELECT privacy_guard.audit_checkpoint()'),
	qr/there is no audit log yet/,
	'nor a checkpoint');
is( sql('SELECT ok, finding FROM privacy_guard.verify_audit_log()'),
	't|there is no audit log yet',
	'and nothing to verify');

sql(q{CREATE TABLE forged (LIKE privacy_guard.audit_segment)});
sql(python('sql', @sizes));
sql(q{
	CREATE FUNCTION unpack(records bytea) RETURNS bytea[] LANGUAGE plpgsql AS $$
	DECLARE at int := 1; n int; r bytea[] := '{}';
	BEGIN
		WHILE at < octet_length(records) LOOP
			n := ('x' || encode(substring(records FROM at FOR 4), 'hex'))::bit(32)::int;
			r := r || substring(records FROM at + 4 FOR n);
			at := at + 4 + n;
		END LOOP;
		RETURN r;
	END $$;
	CREATE FUNCTION pack(r bytea[]) RETURNS bytea LANGUAGE sql AS
	$$ SELECT string_agg(decode(lpad(to_hex(octet_length(x)), 8, '0'), 'hex') || x, '' ORDER BY n) FROM unnest(r) WITH ORDINALITY u (x, n) $$;
	CREATE TABLE record AS SELECT first_leaf + n - 1 AS leaf, x AS record FROM forged, unnest(unpack(records)) WITH ORDINALITY u (x, n);
});
my $origin = sql(
	q{SELECT format('privacy_guard/%s/%s/1', system_identifier, d.oid) FROM pg_control_system(), pg_database d WHERE datname = 'log'}
);
without_library(
	'log',
	qq{ALTER TABLE privacy_guard.audit_origin DISABLE TRIGGER ALL;
		INSERT INTO privacy_guard.audit_origin (origin_id, name, system_identifier, database, reason)
		SELECT 1, '$origin', system_identifier, d.oid, 'test' FROM pg_control_system(), pg_database d WHERE datname = 'log';}
	  . join(
		'',
		map {
			"CREATE TABLE privacy_guard_internal.audit_segment_$months[$_][0] PARTITION OF privacy_guard.audit_segment
			FOR VALUES FROM ('$months[$_][1] 00:00+00') TO ('$months[$_ + 1][1] 00:00+00');"
		} 0 .. 2)
	  . q{INSERT INTO privacy_guard.audit_segment SELECT * FROM forged WHERE first_leaf < 256;}
);

# Checkpoints ----------------------------------------------------------------------------------------

my $log_start = -s $node->logfile;
my $unsigned = sql('SELECT privacy_guard.audit_checkpoint()');
like(
	$unsigned,
	qr{^\Q$origin\E\n256\n[A-Za-z0-9+/]{43}=\nsystem_identifier \d+\ntimeline 1\ntime 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\n$},
	'without a key a checkpoint is a note without signature');
like(
	slurp_file($node->logfile, $log_start),
	qr/checkpoints of the audit log are not signed/,
	'which the log says');
is(sql('SELECT privacy_guard.audit_checkpoint()'),
	$unsigned, 'there is one for a size');
like(
	error('SELECT privacy_guard.checkpoint_public_key()'),
	qr/are not signed/,
	'there is no key to be had');

# set_and_wait(setting, value): new sessions have it.
sub set_and_wait
{
	my ($setting, $value) = @_;
	$node->adjust_conf('postgresql.conf', $setting, "'$value'");
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT current_setting('$setting') = '$value'")
	  or die;
}
sub use_key { set_and_wait('privacy_guard.checkpoint_key_file', $_[0]); }
run_it(qw(openssl genpkey -algorithm ed25519 -out), "$dir/key");
run_it(qw(openssl pkey -pubout -in), "$dir/key", '-out', "$dir/public.pem");
run_it(qw(openssl genpkey -algorithm ed25519 -out), "$dir/other");
run_it(qw(openssl pkey -pubout -in), "$dir/other", '-out', "$dir/other.pem");
run_it(qw(openssl genpkey -algorithm x25519 -out), "$dir/x25519");
chmod 0600, "$dir/$_" foreach qw(key other x25519);
without_library('log',
	q{INSERT INTO privacy_guard.audit_segment SELECT * FROM forged WHERE first_leaf IN (256, 257)}
);

foreach my $refused (
	[ "$dir/none", qr/cannot be opened/ ],
	[ $dir, qr/is not a regular file/ ],
	[ "$dir/public.pem", qr/is accessible to its group or to others/ ],
	[ "$dir/x25519", qr/does not hold an Ed25519 private key/ ])
{
	use_key($refused->[0]);
	like(error('SELECT privacy_guard.audit_checkpoint()'),
		$refused->[1], "refused: $refused->[0]");
}
chmod 0640, "$dir/key";
use_key("$dir/key");
like(
	error('SELECT privacy_guard.audit_checkpoint()'),
	qr/is accessible to its group/,
	'a key that the group reads is refused');
chmod 0600, "$dir/key";
my $first = sql('SELECT privacy_guard.audit_checkpoint()');
without_library('log',
	q{INSERT INTO privacy_guard.audit_segment SELECT * FROM forged WHERE first_leaf > 257}
);
my $note = sql('SELECT privacy_guard.audit_checkpoint()');

sub parts
{
	my ($text, $name, $signature) =
	  $_[0] =~ /^(.*\n)\n\xe2\x80\x94 (\S+) (\S+)\n$/s
	  or die "no note: $_[0]";
	$signature = decode_base64($signature);
	return ($text, $name, substr($signature, 0, 4), substr($signature, 4));
}

# What another process is about to write.
sub poll_file
{
	my ($file, $pattern) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if -e $file && slurp_file($file) =~ $pattern;
		select undef, undef, undef, 0.1;
	}
	return 0;
}

sub write_file
{
	my ($file, $content) = @_;
	open my $fh, '>', "$dir/$file" or die $!;
	binmode $fh;
	print $fh $content;
	close $fh;
}
my ($text, $name, $id, $signature) = parts($note);
write_file('text', $text);
write_file('signature', $signature);
like(
	run_it(
		qw(openssl pkeyutl -verify -pubin -inkey),
		"$dir/public.pem", '-rawin', '-in', "$dir/text", '-sigfile',
		"$dir/signature"),
	qr/Success/,
	'openssl verifies the signature');
my $raw = substr(
	run_it_raw(qw(openssl pkey -pubin -outform DER -in), "$dir/public.pem"),
	-32);

sub run_it_raw
{
	my $out = '';
	IPC::Run::run(\@_, '>', \$out) or die "@_";
	return $out;
}
is($name, $origin, 'the key has the name of the origin');
is( unpack('H*', $id),
	unpack('H*', substr(sha256("$origin\n\x01$raw"), 0, 4)),
	'and the id that C2SP asks for');
is( sql('SELECT public_key FROM privacy_guard.checkpoint_public_key()'),
	slurp_file("$dir/public.pem"),
	'the public key is that of the file');
my $verifier =
  sql('SELECT verifier_key FROM privacy_guard.checkpoint_public_key()');
is( $verifier,
	"$origin+" . unpack('H*', $id) . '+' . encode_base64("\x01$raw", ''),
	'the verifier key, too');
is(slurp_file("$dir/checkpoints"),
	"$unsigned\n$first\n$note\n", 'each is appended to the file, once');
is((stat "$dir/checkpoints")[2] & 07777, 0600, 'which is the server\'s own');
like(
	slurp_file($node->logfile, $log_start),
	qr/audit log checkpoint of 1000 records/,
	'and goes into the server\'s log');

# Tree and proofs: as the other program has them ---------------------------------------------------

is( sql(q{SELECT n, encode(privacy_guard.merkle_root((SELECT coalesce(array_agg(record ORDER BY leaf), '{}') FROM record WHERE leaf < n)), 'hex')
		FROM generate_series(0, 1000) n ORDER BY 1}) =~ s/^\d+\|//gmr,
	python('roots', 1000),
	'the roots of 0 to 1000 records');

sub load
{
	my ($table, $out) = @_;
	sql("CREATE TABLE $table (a bigint, b bigint, proof text)");
	sql("COPY $table FROM STDIN (DELIMITER ' ');\n$out\n\\.\n");
}
load('inclusion', python('inclusion', 1000));
load('consistency', python('consistency', 1000));
sql("CREATE TABLE roots (n bigint GENERATED ALWAYS AS IDENTITY (START 0 MINVALUE 0), root text);
	COPY roots (root) FROM STDIN;\n" . python('roots', 1000) . "\n\\.\n");
my $joined =
  q{(SELECT coalesce(string_agg(encode(h, 'hex'), ',' ORDER BY n), '') FROM unnest(%s) WITH ORDINALITY u (h, n))};
my $ours =
	q{SELECT count(*), count(*) FILTER (WHERE proof = }
  . sprintf($joined, 'privacy_guard.audit_%s_proof(a, b, 1)')
  . q{) FROM %s};
my $bytes =
  q{(SELECT coalesce(array_agg(decode(h, 'hex') ORDER BY n), '{}') FROM regexp_split_to_table(nullif(proof, ''), ',') WITH ORDINALITY u (h, n))};

foreach my $kind (qw(inclusion consistency))
{
	my ($all, $same) = split /\|/, sql(sprintf($ours, $kind, $kind));
	ok($all > 4000 && $all == $same,
		"$same of $all $kind proofs are the same");
}

sub holds
{
	my ($kind, $call) = @_;
	return sql(
		"SELECT bool_and(r), bool_or(r) FROM (SELECT privacy_guard.verify_$kind($call) FROM $kind
		JOIN record ON leaf = least(a, 999) JOIN roots x ON x.n = a JOIN roots y ON y.n = b) v (r)"
	);
}
is(holds('inclusion', "record, a, b, $bytes, decode(y.root, 'hex')"),
	't|t', 'inclusion proofs hold');
is( holds(
		'inclusion', "record || '\\x00', a, b, $bytes, decode(y.root, 'hex')"
	),
	'f|f',
	'... of no other record');
is(holds('inclusion', "record, a + 1, b, $bytes, decode(y.root, 'hex')"),
	'f|f', '... at no other place');
is( holds(
		'inclusion',
		"record, a, b, $bytes || sha256(''), decode(y.root, 'hex')"),
	'f|f',
	'... with nothing added');
is( holds(
		'consistency',
		"a, decode(x.root, 'hex'), b, decode(y.root, 'hex'), $bytes"),
	't|t',
	'consistency proofs hold');
is(holds('consistency', "a, decode(x.root, 'hex'), b, sha256(''), $bytes"),
	'f|f', '... for no other later tree');
is(holds('consistency', "a, sha256(''), b, decode(y.root, 'hex'), $bytes"),
	'f|f', '... for no other earlier tree');
is( holds(
		'consistency',
		"a, decode(x.root, 'hex'), b, decode(y.root, 'hex'), $bytes || sha256('')"
	),
	'f|f',
	'... with nothing added');

foreach my $refused (
	'inclusion_proof(1000)',
	'inclusion_proof(-1)',
	'inclusion_proof(5, 5)',
	'inclusion_proof(0, 1001)',
	'inclusion_proof(0, 0)',
	'consistency_proof(0)',
	'consistency_proof(1001)',
	'consistency_proof(7, 6)',
	'consistency_proof(1, 1001)')
{
	like(
		error("SELECT privacy_guard.audit_$refused"),
		qr/is out of range\nHINT:  Pass a number from/,
		"refused: $refused");
}
like(
	error('SELECT privacy_guard.audit_inclusion_proof(1, origin => 2)'),
	qr/no audit log of this origin/,
	'another origin');

# Verification -------------------------------------------------------------------------------------

# verify(database, checkpoint, key): the findings, one a line, without what changes.
sub verify
{
	my ($database, $checkpoint, $key) = @_;
	my @arguments =
	  map { defined $_ ? "\$note\$$_\$note\$" : 'NULL' } ($checkpoint, $key);
	my $out = $node->safe_psql($database,
		"SELECT ok, first_bad_leaf, finding, hint FROM privacy_guard.verify_audit_log($arguments[0], $arguments[1]) WHERE coalesce(origin, '') NOT LIKE '%/2'"
	);
	return $out;
}
my $public = slurp_file("$dir/public.pem");
my $root = (split /\n/, $note)[2];
my $whole = 't||records 0 to 999 and 3 checkpoints (2 signed) fit together|';
like(
	verify('log'),
	qr/^\Q$whole\EOnly a checkpoint kept elsewhere/,
	'the log verifies');
is(verify('log', $note), $whole, 'with a checkpoint');
is(verify('log', $first), $whole, 'with an older one');
is(verify('log', $note, $public), $whole, 'with the public key');
is(verify('log', $note, slurp_file("$dir/other.pem") . $public),
	$whole, 'with several');
is(verify('log', $note, $verifier), $whole, 'with the verifier key');
is( sql('SELECT tree_size, encode(root, $$base64$$) FROM privacy_guard.verify_audit_log()'
	),
	'1000|' . (split /\n/, $note)[2],
	'size and root are those of the checkpoint');
is( sql('SELECT tree_size, encode(root, $$base64$$) FROM privacy_guard.audit_tree_head()'
	),
	'1000|' . (split /\n/, $note)[2],
	'and of the tree head');
like(
	verify('log', $note, slurp_file("$dir/other.pem")),
	qr/^f\|\|the given checkpoint is not signed by a known key/,
	'a foreign key');
like(
	verify('log', $unsigned),
	qr/^f\|\|the given checkpoint is not signed by a known key/,
	'an unsigned checkpoint although there is a key');
like(
	verify('log', $note =~ s/timeline 1/timeline 2/r),
	qr/^f\|\|the signature of the given checkpoint is wrong/,
	'a changed checkpoint');
like(
	error("SELECT * FROM privacy_guard.verify_audit_log('abc')"),
	qr/is not a checkpoint/,
	'no checkpoint');
like(
	error(
		"SELECT * FROM privacy_guard.verify_audit_log(public_key => 'abc')"),
	qr/holds no Ed25519 public keys/,
	'no key');

# sign(text): the note as somebody with the key and openssl would make it.
sub sign
{
	my ($signed) = @_;
	write_file('text', $signed);
	my $bytes = run_it_raw(
		qw(openssl pkeyutl -sign -inkey), "$dir/key",
		'-rawin', '-in',
		"$dir/text");
	my ($key_name) = $signed =~ /^(.*)\n/;
	my $key_id = substr(sha256("$key_name\n\x01$raw"), 0, 4);
	return
	  "$signed\n\xe2\x80\x94 $key_name "
	  . encode_base64($key_id . $bytes, '') . "\n";
}
is(sign($text), $note, 'openssl makes the same note');
like(
	verify('log', sign($text =~ s{/1\n}{/9\n}r)),
	qr/^t.*\nf\|\|there is no log of the given checkpoint's origin/,
	'another origin');

# Each forgery in a copy of the database -----------------------------------------------------------

my $reseal = q{
	DELETE FROM privacy_guard.audit_segment; INSERT INTO privacy_guard.audit_segment SELECT * FROM forged;};
my $no_checkpoints = 'DELETE FROM privacy_guard.audit_checkpoint;';
my $change =
  q{UPDATE privacy_guard.audit_segment SET records = pack(%s) WHERE first_leaf = 513;};
my $r = '(unpack(records))';
my @forgeries = (
	[
		'changed',
		sprintf($change,
			"${r}[1:9] || set_byte(${r}[10], 50, 64) || ${r}[11:]"),
		qr/^f\|522\|record 522 is not the one that was sealed\|Compare with a backup/
	],
	[
		'deleted',
		sprintf($change, "${r}[1:9] || ${r}[11:]"),
		qr/^f\|522\|the segment at record 513 ends within record 812/
	],
	[
		'deleted_counted',
		sprintf($change, "${r}[1:9] || ${r}[11:]")
		  . 'UPDATE privacy_guard.audit_segment SET leaves = 299 WHERE first_leaf = 513;',
		qr/^f\|522\|record 522 is not(?s:.*)\nf\|812\|records 812 to 812 are missing/
	],
	[
		'inserted',
		sprintf($change, "${r}[1:9] || ${r}[9:]"),
		qr/^f\|522\|the segment at record 513 holds more than its 300 records/
	],
	[
		'reordered',
		sprintf($change, "${r}[1:9] || ${r}[11] || ${r}[10] || ${r}[12:]"),
		qr/^f\|522\|record 522 is not/
	],
	[
		'no_record',
		sprintf($change, "${r}[1:9] || '\\xa0'::bytea || ${r}[11:]")
		  . q{UPDATE privacy_guard.audit_segment SET marks = overlay(marks PLACING substring(sha256('\x00a0') FOR 8) FROM 73 FOR 8) WHERE first_leaf = 513},
		qr/^f\|522\|record 522 is not a record/
	],
	[
		'truncated',
		q{UPDATE privacy_guard.audit_segment SET records = substring(records FROM 1 FOR 40000) WHERE first_leaf = 513},
		qr/^f\|(\d+)\|the segment at record 513 ends within record \1/
	],
	[
		'marks',
		q{UPDATE privacy_guard.audit_segment SET marks = set_byte(marks, 80, 1 # get_byte(marks, 80)) WHERE first_leaf = 513},
		qr/^f\|523\|the mark of record 523 is wrong\|The records are whole/
	],
	[
		'marked',
		q{UPDATE privacy_guard.audit_segment s SET marks = f.marks, records = f.records FROM forged f WHERE s.first_leaf = 513 AND f.first_leaf = 513},
		qr/^f\|512\|the hash of records 512 to 767 is wrong/,
		600
	],
	[
		'nodes',
		q{UPDATE privacy_guard.audit_segment SET nodes = set_byte(nodes, 3, 1 # get_byte(nodes, 3)) WHERE first_leaf = 513},
		qr/^f\|512\|the hash of records 512 to 767 is wrong/
	],
	[
		'more_nodes',
		q{UPDATE privacy_guard.audit_segment SET nodes = nodes || nodes WHERE first_leaf = 513},
		qr/^f\|513\|the segment at record 513 has hashes of no records/
	],
	[
		'frontier',
		q{UPDATE privacy_guard.audit_segment SET frontier = set_byte(frontier, 3, 1 # get_byte(frontier, 3)) WHERE first_leaf = 257},
		qr/^f\|257\|the tree after the segment at record 257 does not follow.*\nf\|\|the stored checkpoint of 513 records has another root.*\nf\|513\|/
	],
	[
		'no_frontier',
		q{UPDATE privacy_guard.audit_segment SET frontier = '' WHERE first_leaf = 257},
		qr/^f\|257\|the tree after.*\nf\|257\|the segment at record 257 has a malformed tree/
	],
	[
		'resealed_one',
		q{UPDATE privacy_guard.audit_segment s SET marks = f.marks, records = f.records, nodes = f.nodes, frontier = f.frontier FROM forged f WHERE s.first_leaf = 513 AND f.first_leaf = 513},
		qr/^f\|813\|the tree after the segment at record 813 does not follow/,
		600
	],
	[
		'time',
		q{UPDATE privacy_guard.audit_segment SET first_time = first_time + '1 day' WHERE first_leaf = 513},
		qr/^f\|513\|record 513 is outside of what its segment says/
	],
	[
		'kinds',
		q{UPDATE privacy_guard.audit_segment SET kinds = kinds & ~4 WHERE first_leaf = 513},
		qr/^f\|\d+\|record \d+ is outside of what its segment says/
	],
	[
		'subjects',
		q{UPDATE privacy_guard.audit_segment SET subjects = (SELECT subjects FROM forged WHERE first_leaf = 813) WHERE first_leaf = 513},
		qr/^f\|513\|record 513 is outside of what its segment says/
	],
	[
		'no_subjects',
		q{CREATE CAST (bytea AS privacy_guard.subject_set) WITHOUT FUNCTION;
		UPDATE privacy_guard.audit_segment SET subjects = '\x010203'::bytea::privacy_guard.subject_set WHERE first_leaf = 513;
		UPDATE privacy_guard.audit_segment SET subjects = ''::bytea::privacy_guard.subject_set WHERE first_leaf = 813},
		qr/^f\|513\|record 513 is outside.*\nf\|813\|record 813 is outside/
	],
	[
		'segment',
		q{DELETE FROM privacy_guard.audit_segment WHERE first_leaf = 257},
		qr/^f\|257\|records 257 to 512 are missing\|/
	],
	[
		'first',
		q{DELETE FROM privacy_guard.audit_segment WHERE first_leaf < 3},
		qr/^f\|0\|records 0 to 2 are missing\|/
	],
	[
		'twice',
		q{INSERT INTO privacy_guard.audit_segment SELECT * FROM forged WHERE first_leaf = 257},
		qr/^f\|257\|a segment begins at record 257, the one before ends at 513\|/
	],
	[
		'swapped',
		q{UPDATE privacy_guard.audit_segment SET first_leaf = 1 - first_leaf WHERE first_leaf < 2},
		qr/^f\|/
	],
	[
		'leaves',
		q{UPDATE privacy_guard.audit_segment SET leaves = 0 WHERE first_leaf = 256},
		qr/a segment claims 0 records from 256 on/
	],
	[
		'sealed',
		q{UPDATE privacy_guard.audit_segment SET sealed_at = '2026-03-31' WHERE first_leaf = 257},
		qr/^f\|513\|the segment at record 513 was sealed before/
	],
	[
		'origin',
		q{DELETE FROM privacy_guard.audit_origin},
		qr/^f\|0\|the origin of these records is not listed/
	],
	[
		'tail',
		q{DELETE FROM privacy_guard.audit_segment WHERE first_leaf = 813},
		qr/^f\|813\|the stored checkpoint covers 1000 records, the log ends after 813: its tail is missing\|Server and timeline are those/
	],
	[
		'cut',
		q{DELETE FROM privacy_guard.audit_segment WHERE first_leaf = 813; DELETE FROM privacy_guard.audit_checkpoint WHERE tree_size = 1000},
		qr/^t\|/
	],
	[
		'all',
		q{TRUNCATE privacy_guard.audit_segment, privacy_guard.audit_checkpoint},
		qr/^t\|/
	],
	[
		'everything',
		q{TRUNCATE privacy_guard.audit_segment, privacy_guard.audit_checkpoint, privacy_guard.audit_origin},
		qr/^t\|\|there is no audit log yet/
	],
	[
		'recomputed',
		$reseal,
		qr/^f\|\|the stored checkpoint of 513 records has another root: what it covers was replaced.*\nf\|\|the stored checkpoint of 1000/,
		500
	],
	[ 'forgotten', $reseal . $no_checkpoints, qr/^t\|/, 500 ],
	[
		'note',
		q{UPDATE privacy_guard.audit_checkpoint SET note = replace(note, 'time 20', 'time 19') WHERE tree_size = 513},
		qr/^f\|\|the signature of the stored checkpoint of 513 records is wrong/
	],
	[
		'column',
		q{UPDATE privacy_guard.audit_checkpoint SET root = sha256('') WHERE tree_size = 513},
		qr/^f\|\|the stored checkpoint of 513 records differs from its note.*\nf\|\|the stored checkpoint of 513 records has another root/
	],
	[
		'pruned',
		q{INSERT INTO privacy_guard.audit_prune (origin_id, tree_size, frontier, root, pruned_by) SELECT 1, 6, frontier, sha256(''), 'x' FROM forged WHERE first_leaf = 3},
		qr/^f\|6\|what is kept of the pruned records does not give their root/
	],
	[
		'merged',
		q{DELETE FROM privacy_guard.audit_segment WHERE first_leaf < 513}
		  . ";\n"
		  . 'INSERT INTO privacy_guard.audit_segment SELECT * FROM merged WHERE first_leaf < 513',
		qr/^\Q$whole\E/
	]);

# A log with another record number n, whose hashes are all right.
sub forged_log
{
	my ($n) = @_;
	local $ENV{AUDIT_LOG_FORGE} = $n;
	return 'TRUNCATE forged;' . python('sql', @sizes);
}
sql('CREATE TABLE merged (LIKE forged)');
sql(python('sql', 513, 300, 187) =~ s/public\.forged/merged/gr);
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE log")
  foreach 'pruned', map { "forgery_$_->[0]" } @forgeries;
foreach my $forgery (@forgeries)
{
	$node->safe_psql("forgery_$forgery->[0]", forged_log($forgery->[3]))
	  if $forgery->[3];
}
restart('');
$node->safe_psql("forgery_$_->[0]", $_->[1]) foreach @forgeries;
restart('privacy_guard');
foreach my $forgery (@forgeries)
{
	my ($forged, undef, $finding) = @$forgery;
	like(verify("forgery_$forged"), $finding, "forgery: $forged");
	my $with = verify("forgery_$forged", $note);
	if ($forged eq 'merged') { is($with, $whole, '... with a checkpoint') }
	else { like($with, qr/^f\|/m, '... with a checkpoint') }
}
like(
	verify('forgery_cut', $note),
	qr/^f\|813\|the given checkpoint covers 1000 records, the log ends after 813: its tail is missing\|Server and timeline are those/,
	'a tail that was cut off');
like(
	verify('forgery_forgotten', $note),
	qr/^f\|\|the given checkpoint of 1000 records has another root: what it covers was replaced/,
	'history that was recomputed');
like(
	verify('forgery_everything', $note),
	qr/^f\|\|there is no log of the given checkpoint's origin/,
	'a log that was removed');
my $foreign = $text =~ s/system_identifier .*/system_identifier 123/r;
like(
	verify('forgery_cut', sign($foreign)),
	qr/its tail is missing\|Another server made the checkpoint/,
	'the tail stayed on another server');
is( $node->safe_psql('forgery_merged',
		sprintf($ours, 'inclusion', 'inclusion')) =~ s/^(\d+)\|\1$/same/r,
	'same',
	'inclusion proofs of merged segments');
is( $node->safe_psql('forgery_merged',
		sprintf($ours, 'consistency', 'consistency')) =~ s/^(\d+)\|\1$/same/r,
	'same',
	'consistency proofs of merged segments');
like(
	error(
		'SELECT privacy_guard.audit_inclusion_proof(800, 1000)',
		'forgery_truncated'),
	qr/the audit log is damaged at leaf/,
	'no proof from damaged records');

# A failover or restore loses a tail, too: it begins another timeline.
$node->stop;
run_it('pg_resetwal', '-l', '000000020000000000000099', '-D',
	$node->data_dir);
$node->start;
like(
	verify('forgery_cut', $note),
	qr/its tail is missing\|The checkpoint is of timeline 1 and the server is on 2/,
	'a tail that a failover lost');
like(
	verify('forgery_forgotten', $note),
	qr/has another root.*\|The checkpoint is of timeline 1/,
	'or that was written anew after it');

# The audit writer goes on from there ---------------------------------------------------------------

$node->adjust_conf('postgresql.conf', 'max_worker_processes', 12);
$node->adjust_conf('postgresql.conf', 'privacy_guard.audit_timeout', "'10s'");
$node->restart;
my $live =
  qr/^t\|\|records 0 to \d+ and \d+ checkpoints \(\d+ signed\) fit together\|$/;
like(verify('log', $note),
	$live, 'what the writer adds fits what another program wrote');
my $grown = sql('SELECT tree_size FROM privacy_guard.audit_tree_head()');
cmp_ok($grown, '>', 1000, 'the log has grown');
is( sql("SELECT privacy_guard.verify_consistency(1000, decode('$root', 'base64'), h.tree_size, h.root, privacy_guard.audit_consistency_proof(1000, h.tree_size))
		FROM privacy_guard.audit_tree_head() h"),
	't',
	'and proves that it begins with what it was');
is( sql("SELECT count(*) = h.tree_size, bool_and(privacy_guard.verify_inclusion(record, leaf_index, h.tree_size, privacy_guard.audit_inclusion_proof(leaf_index, h.tree_size), h.root)) FROM privacy_guard.audit_tree_head() h, privacy_guard.audit_log WHERE leaf_index < h.tree_size GROUP BY h.tree_size"
	),
	't|t',
	'of each record, too');

# Shipping: what cannot be shipped is kept, and a command that fails gets it again.
$log_start = -s $node->logfile;
set_and_wait('privacy_guard.checkpoint_file', "$dir/none/checkpoints");
set_and_wait('privacy_guard.checkpoint_command',
	"test -e $dir/open && cat >> $dir/shipped || exit 3");
verify('log', $note);
$node->wait_for_log(qr/the checkpoint command failed with exit code 3/,
	$log_start);
$node->wait_for_log(
	qr/could not open the checkpoint file: No such file or directory/,
	$log_start);
write_file('open', '');
my $last = sql('SELECT privacy_guard.audit_checkpoint()');
ok( poll_file("$dir/shipped", qr/\Q$last\E/),
	'the command gets it when it works again');
like(verify('log', $last), $live, 'a checkpoint of the audit writer');

# Pruning, in a copy, where the audit writer writes a log of its own ------------------------------------------------------------------------------------------

sub pruned { return $node->safe_psql('pruned', $_[0]); }
like(
	error(q{SELECT privacy_guard.prune_audit_log('infinity')}, 'pruned'),
	qr/removes what is past/,
	'the future is not pruned');
like(
	error(
		q{BEGIN; SELECT privacy_guard.prune_audit_log('2026-01-20')},
		'pruned'),
	qr/cannot run in a transaction block/,
	'nor in a transaction block');
is(pruned(q{SELECT privacy_guard.prune_audit_log('2026-01-20')}),
	6, 'segments of which all is older are removed');
my $rest = 't||records 6 to 999 and 3 checkpoints (2 signed) fit together|';
is(verify('pruned', $note), $rest, 'the rest verifies');
is(pruned(q{SELECT privacy_guard.prune_audit_log('2026-01-20')}),
	0, 'there is no more to prune');
is(pruned(q{SELECT privacy_guard.prune_audit_log('2026-02-20')}),
	507, 'a month on');
is( pruned(
		q{SELECT to_regclass('privacy_guard_internal.audit_segment_202601')}),
	'',
	'a partition of which nothing is left is dropped');
$rest =~ s/records 6/records 513/;
is(verify('pruned', $note), $rest, 'the rest verifies');
is(verify('pruned', $first),
	$rest, 'also with the checkpoint of where it begins');
like(
	verify(
		'pruned',
		sign(
			$text =~
			  s/\n1000\n.*\n/"\n256\n" . (split m{\n}, $unsigned)[2] . "\n"/er
		)),
	qr/^\Q$rest\EWhat the given checkpoint covers was pruned; the stored one/,
	'or with one of what is gone, if it agrees');
like(
	verify('pruned', sign($text =~ s/\n1000\n/\n256\n/r)),
	qr/^f\|\|what the given checkpoint covers was pruned, and no stored one agrees/,
	'and not else');
is( pruned(sprintf($ours, 'inclusion', "inclusion WHERE a >= 513")) =~
	  s/^(\d+)\|\1$/same/r,
	'same',
	'proofs of what is left are the same');
is( pruned(sprintf($ours, 'consistency', "consistency WHERE a >= 513")) =~
	  s/^(\d+)\|\1$/same/r,
	'same',
	'... of both kinds');
like(
	error(
		'SELECT privacy_guard.audit_inclusion_proof(512, origin => 1)',
		'pruned'),
	qr/leaves before 513 were pruned/,
	'of what is gone there are none');
like(
	error(
		'SELECT privacy_guard.audit_consistency_proof(100, origin => 1)',
		'pruned'),
	qr/leaves before 513 were pruned/,
	'... of both kinds');
is(pruned(q{SELECT privacy_guard.prune_audit_log('2026-04-01')}),
	487, 'all of a log that is no longer written');
is( verify('pruned', $note),
	't||all 1000 records were pruned; 3 checkpoints (2 signed) fit together|',
	'which is told');
is( pruned(
		q{SELECT string_agg(format('%s %s', rows, new->>'first_leaf'), ', ' ORDER BY leaf_index)
		FROM privacy_guard.audit_log WHERE kind = 'retention'}),
	'6 6, 507 513, 487 1000',
	'pruning is on record');

# Outside, with psql and openssl: the page says how --------------------------------------------------

my $page = slurp_file("$here/../../doc/audit.md");
my ($section) = $page =~ /^## Verify it yourself\n(.*)/ms;
my $script = join "\n", 'set -euo pipefail',
  $section =~ /^```sh\n(.*?)^```/msg;
mkdir "$dir/outside";
$node->safe_psql('postgres', 'CREATE DATABASE own');
rename "$dir/$_", "$dir/outside/$_" foreach 'public.pem';
write_file('outside/checkpoint', $note);
write_file('outside/verify', $script);

foreach my $try (
	[ 'forgery_merged', 0, 'the page finds a log whole' ],
	[ 'forgery_forgotten', 1, 'and a forged one not' ])
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = $try->[0];
	local $ENV{OWN_DATABASE} = 'own';
	my $output = '';
	my $ok =
	  IPC::Run::run([ 'bash', '-c', "cd '$dir/outside' && bash verify" ],
		'>', \$output, '2>&1');
	is(!$ok, !!$try->[1], $try->[2]) or diag($output);
	$node->safe_psql('own', 'DROP TABLE record');
}

$node->stop;
done_testing();
