# What ends by itself does so without anybody's doing: the eraser enters the end of consent into the
# ledger, and erases the rows of whom no purpose needs any more. Not an SQL test, because a worker
# does it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use AuditedNode;
use Test::More;

my $node = audited_node([],
	"privacy_guard.erase_interval = 1\nprivacy_guard.erase_batch_size = 500");
my $category = q{subject_category => 'person'};

sub sql
{
	my ($statement) = @_;
	return $node->safe_psql('postgres', $statement);
}

sub becomes
{
	my ($query, $value) = @_;
	return eventually(sub { sql($query) eq $value });
}

sql(qq{
	CREATE ROLE keeper;
	CREATE TABLE visit (id bigint PRIMARY KEY, person bigint, seen timestamptz);
	INSERT INTO visit SELECT i, i % 10, now() FROM generate_series(1, 1000) i;
	CREATE INDEX ON visit (person);
	ALTER TABLE visit OWNER TO keeper;
	SELECT privacy_guard.create_purpose('mail', 'consent');
	SELECT privacy_guard.grant_collection('mail', 'postgres');
	SELECT privacy_guard.grant_purpose('mail', 'postgres');
	SELECT privacy_guard.protect('visit', 'person', $category);
	SELECT privacy_guard.permit('visit', 'mail')});

# ---- consent

my $seen =
  q{BEGIN; SET LOCAL privacy_guard.purpose = 'mail'; SELECT count(*) FROM visit; COMMIT};

is( sql(qq{SELECT count(privacy_guard.record_consent(i::text, 'mail', valid_for => '3 seconds', $category))
	 FROM generate_series(0, 9) i}),
	'10',
	'ten persons consent for three seconds');
is(sql($seen), '1000', 'and their rows are seen');
ok(becomes($seen, '0'), 'until the time is over');
ok( becomes(
		q{SELECT count(*) FROM privacy_guard.consent_record WHERE event_state = 'expired'},
		'10'),
	'soon after, the ledger knows');
is( sql(q{
	SELECT DISTINCT e.recorded_by, e.event_time = g.valid_until, g.event_state
	  FROM privacy_guard.consent_record e JOIN privacy_guard.consent_record g ON g.record_id = e.caused_by
	 WHERE e.event_state = 'expired'}),
	'privacy_guard eraser|t|given',
	'who recorded it, when it was over, and why');
is( sql(q{SELECT DISTINCT status, status FROM privacy_guard.consents WHERE status = 'expired'}
	),
	'expired|expired',
	'the present state agrees');

# Years of old data at once.
sql(q{CREATE TABLE old AS SELECT i AS person FROM generate_series(1001, 4000) i}
);
sql(q{SELECT privacy_guard.import_consents('old', '{"subject": "person", "purpose": "=mail",
	"event_time": "=2010-01-01", "valid_until": "=2012-01-01", "category": "=person"}')}
);
ok( becomes(
		q{SELECT count(*) FROM privacy_guard.consent_record WHERE event_state = 'expired'},
		'3010'),
	'3000 ends of long ago, in batches');

# ---- rows that nobody needs

sql(qq{SELECT count(privacy_guard.record_consent(i::text, 'mail', status => 'renewed', $category)) FROM generate_series(1, 9) i}
);
sql(q{SELECT privacy_guard.retain('visit', NULL, 'seen', effective_from => now(), erase_unneeded_after => '2 seconds')}
);
my $receipts = q{SELECT coalesce(sum(rows), 0) FROM privacy_guard.audit_log
	WHERE kind = 'retention' AND operation = 'Erase' AND reason = 'unneeded' AND outcome = 'completed'};
ok(becomes($receipts, '100'), 'the rows of whom has not renewed it go');
sql(qq{SELECT privacy_guard.withdraw_consent('1', 'mail', $category)});
ok(becomes($receipts, '200'), 'and those of who withdraws');
is( sql(q{SELECT privacy_guard.break_glass('count'); SELECT count(*) FROM visit}
	) =~ s/\A\s+//r,
	'800',
	'all others stay');
is( sql(q{SELECT privacy_guard.break_glass('count'); SELECT count(*) FROM visit WHERE person IN (0, 1)}
	) =~ s/\A\s+//r,
	'0',
	'none of these');

$node->stop;
done_testing();
