-- Consent that ends by itself: when, what the ledger says, and what is to be renewed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\t on

-- When the first consent ends
SELECT c, privacy_guard.consent_next_expiry(c::privacy_guard.consent) AT TIME ZONE 'UTC' FROM unnest(ARRAY[
    '{}',
    '{m: given 2020-01-01T00:00:00Z}',
    '{m: given 2020-01-01T00:00:00Z until 2021-01-01T00:00:00Z}',
    '{m: renewed 2020-01-01T00:00:00Z until 2021-01-01T00:00:00Z, n/post@partner: given 2019-01-01T00:00:00Z until 2020-06-01T00:00:00Z}',
    '{m: withdrawn 2020-01-01T00:00:00Z until 2021-01-01T00:00:00Z, n: requested 2020-01-01T00:00:00Z until 2020-02-01T00:00:00Z}',
    '{m: expired 2020-01-01T00:00:00Z until 2021-01-01T00:00:00Z}',
    '{m: given 2020-01-01T00:00:00Z until 2019-01-01T00:00:00Z}']) AS c;
SELECT privacy_guard.consent_next_expiry(NULL);

-- The worker's steps, as verbs of the steward
BEGIN;
\set ON_ERROR_ROLLBACK on
CREATE FUNCTION privacy_guard_internal.regress_step(command text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
$$ DECLARE result text; BEGIN EXECUTE command INTO result; RETURN result; END $$;
CREATE FUNCTION privacy_guard.regress_step(command text) RETURNS text LANGUAGE C AS 'privacy_guard', 'verb_steward';
ALTER EXTENSION privacy_guard ADD FUNCTION privacy_guard.regress_step(text);
CREATE FUNCTION pg_temp.step(command text) RETURNS text LANGUAGE sql AS
$$ SELECT privacy_guard.regress_step('SELECT privacy_guard_internal.' || command) $$;
CREATE ROLE regress_desk;
CREATE ROLE regress_app;
CREATE ROLE regress_mailer;
CREATE ROLE regress_nobody;
SELECT privacy_guard.create_purpose('regress', 'consent');
SELECT privacy_guard.create_purpose('regress.mail', 'consent');
SELECT privacy_guard.create_purpose('regress_news', 'consent', double_opt_in => true);
SELECT privacy_guard.create_purpose('regress_care', 'contract', record_basis => true);
SELECT privacy_guard.create_purpose('regress_stats', 'legitimate_interest');
SELECT privacy_guard.create_subject_category('regress_expiry', 'bigint');
SELECT privacy_guard.grant_collection(p, current_user::regrole) FROM unnest('{regress,regress_care}'::text[]) p;
SELECT privacy_guard.grant_collection('regress_news', 'regress_desk');
SELECT privacy_guard.grant_confirmation('regress_news', 'regress_mailer');
SELECT privacy_guard.grant_purpose('regress', 'regress_app');
CREATE TABLE regress_person (id bigint PRIMARY KEY, consent privacy_guard.consent);
INSERT INTO regress_person SELECT i FROM generate_series(1, 9) i;
GRANT SELECT ON regress_person TO regress_app;
SELECT privacy_guard.protect('regress_person', 'id', subject_category => 'regress_expiry');
SELECT privacy_guard.permit('regress_person', 'regress');
CREATE FUNCTION pg_temp.give(subject text, purpose text, begun interval, valid_for interval DEFAULT NULL,
                             status text DEFAULT 'given', channel text DEFAULT NULL, recipient text DEFAULT NULL) RETURNS boolean
    LANGUAGE sql AS $$ SELECT privacy_guard.record_consent(subject, purpose, status, subject_category => 'regress_expiry',
        valid_for => valid_for, channel => channel, recipient => recipient, event_time => now() - begun) IS NOT NULL $$;
CREATE FUNCTION pg_temp.state(subject text)
    RETURNS TABLE (purpose text, channel text, recipient text, status privacy_guard.consent_status, days_ago double precision)
    LANGUAGE sql AS $$ SELECT d.purpose, d.channel, d.recipient, d.status, extract(epoch FROM now() - d.event_time) / 86400
                         FROM privacy_guard.decisions(privacy_guard.consent_of(subject, 'regress_expiry')) d $$;
CREATE FUNCTION pg_temp.seen(purpose text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('privacy_guard.purpose', purpose, true);
    RETURN (SELECT string_agg(id::text, ' ' ORDER BY id) FROM regress_person);
END $$;
GRANT EXECUTE ON FUNCTION pg_temp.seen(text) TO regress_app;

-- Everything that has ended ends, each at its own time, and nothing besides
SELECT pg_temp.give('1', 'regress', '10 days', '5 days');
SELECT pg_temp.give('1', 'regress', '10 days', '6 days', channel => 'post');
SELECT pg_temp.give('1', 'regress', '10 days', '7 days', recipient => 'partner');
SELECT pg_temp.give('1', 'regress', '10 days', '20 days', channel => 'sms');
SELECT pg_temp.give('1', 'regress.mail', '12 days');
SELECT pg_temp.give('2', 'regress.mail', '10 days', '5 days');
SELECT pg_temp.give('2', 'regress.mail', '1 day', status => 'renewed');
SELECT pg_temp.give('3', 'regress.mail', '10 days', '5 days');
SELECT pg_temp.give('3', 'regress.mail', '6 days', status => 'withdrawn');
SET ROLE regress_app;
SELECT pg_temp.seen('regress'), pg_temp.seen('regress.mail');
RESET ROLE;
SELECT now() - pg_temp.step('expire_consents_at()')::timestamptz AS due_since;
SELECT pg_temp.step('expire_consents(10)'), pg_temp.step('expire_consents(10)'), pg_temp.step('expire_consents_at()')::timestamptz > now();
SELECT * FROM pg_temp.state('1');
SELECT * FROM pg_temp.state('2');
SELECT * FROM pg_temp.state('3');
-- the guard says what it said
SET ROLE regress_app;
SELECT pg_temp.seen('regress'), pg_temp.seen('regress.mail');
RESET ROLE;
SELECT r.purpose, r.channel, r.recipient, r.event_state, r.valid_until, extract(day FROM now() - r.event_time) AS days_ago, r.recorded_by = current_user AS by_hand,
       c.event_state AS cause, c.valid_until = r.event_time AS ended_as_said, c.channel IS NOT DISTINCT FROM r.channel AS same_channel
  FROM privacy_guard.consent_record r JOIN privacy_guard.subject_state s ON s.subject = r.pii_principal_id
  LEFT JOIN privacy_guard.consent_record c ON c.record_id = r.caused_by
 WHERE s.category_id = (SELECT category_id FROM privacy_guard.subject_category WHERE name = 'regress_expiry')
   AND r.event_state = 'expired' ORDER BY r.recorded_at;
SELECT check_name, outcome, regexp_replace(reason, ' on .*', '') FROM privacy_guard.explain_access('regress_person', '1', 'regress') WHERE check_name = 'consent';
SELECT check_name, outcome, regexp_replace(reason, ', .*', '') FROM privacy_guard.explain_access('regress_person', '1', 'regress.mail') WHERE check_name = 'consent';
-- Renewing works after it too, and what is older than the end stays over
SELECT pg_temp.give('1', 'regress', '8 days', status => 'renewed');
SELECT pg_temp.give('1', 'regress', '0', '30 days', status => 'renewed');
SELECT * FROM pg_temp.state('1') WHERE channel IS NULL;
-- Somebody says that it is over: only what he names is, while a withdrawal reaches down
SELECT privacy_guard.withdraw_consent('1', 'regress', status => 'expired', subject_category => 'regress_expiry') IS NOT NULL;
SELECT purpose, channel, recipient, status FROM pg_temp.state('1');
SELECT privacy_guard.withdraw_consent('1', 'regress', subject_category => 'regress_expiry') IS NOT NULL;
SELECT purpose, channel, recipient, status FROM pg_temp.state('1');

-- A request that was made before the end can be confirmed after it
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('4', 'regress_news', subject_category => 'regress_expiry', valid_for => '1 second') IS NOT NULL;
SET ROLE regress_mailer;
SELECT token FROM privacy_guard.pending_confirmations() \gset
SET ROLE regress_nobody;
SELECT privacy_guard.confirm_consent(:'token') IS NOT NULL;
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('4', 'regress_news', subject_category => 'regress_expiry') IS NOT NULL;
RESET ROLE;
SELECT pg_sleep(1.01);
SELECT pg_temp.step('expire_consents(10)');
SELECT purpose, status FROM pg_temp.state('4');
SET ROLE regress_mailer;
SELECT token FROM privacy_guard.pending_confirmations() \gset
SET ROLE regress_nobody;
SELECT privacy_guard.confirm_consent(:'token') IS NOT NULL;
RESET ROLE;
SELECT purpose, status FROM pg_temp.state('4');

-- Old data that is imported, in batches; also ends that lie before their beginning
CREATE TABLE regress_old AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN '2020-01-01' ELSE '2018-01-01' END::timestamptz AS ends FROM generate_series(101, 125) i;
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress", "event_time": "=2019-01-01", "valid_until": "ends", "category": "=regress_expiry"}');
SELECT pg_temp.step('expire_consents(10)') FROM generate_series(1, 4);
SELECT d.status, d.event_time AT TIME ZONE 'UTC', count(*) FROM privacy_guard.subject_state s CROSS JOIN LATERAL privacy_guard.decisions(s.consent) d
 WHERE s.key_int BETWEEN 101 AND 125 AND s.category_id = (SELECT category_id FROM privacy_guard.subject_category WHERE name = 'regress_expiry')
 GROUP BY 1, 2 ORDER BY 2;

-- Whose table refuses the end keeps nobody else's from being recorded
CREATE TABLE regress_own (id bigint PRIMARY KEY, consent privacy_guard.consent CHECK (id <> 201 OR consent::text NOT LIKE '%expired%'));
ALTER TABLE regress_own OWNER TO regress_desk;
INSERT INTO regress_own VALUES (201), (202);
SELECT privacy_guard.protect('regress_own', 'id', subject_category => 'regress_expiry', consent_column => 'consent');
SELECT pg_temp.give(s, 'regress', '10 days', '5 days') FROM unnest('{201,202}'::text[]) s;
SELECT pg_temp.step('expire_consents(10)');
SELECT s, d.status FROM unnest('{201,202}'::text[]) s, pg_temp.state(s) d;

-- Consents that end soon: for stewards, and for who collects
SELECT pg_temp.give('6', 'regress.mail', '1 day', '11 days');
SELECT pg_temp.give('6', 'regress', '1 day', '21 days', channel => 'post');
SELECT pg_temp.give('7', 'regress', '1 day', '101 days');
CREATE VIEW regress_ending AS
    SELECT e.subject, e.purpose, e.channel, e.recipient, extract(day FROM e.valid_until - now()) AS days, e.renewal_due = e.valid_until AS by_time
      FROM privacy_guard.ending_consents('30 days') e WHERE e.subject_category = 'regress_expiry';
SELECT * FROM regress_ending;
SELECT e.subject, e.purpose FROM privacy_guard.ending_consents('200 days', 'regress') e WHERE e.subject_category = 'regress_expiry';
SELECT e.subject, e.purpose FROM privacy_guard.ending_consents(for_purpose => 'regress.mail') e WHERE e.subject_category = 'regress_expiry';
SELECT privacy_guard.grant_collection('regress.mail', 'regress_desk');
SET ROLE regress_desk;
SELECT e.subject, e.purpose FROM privacy_guard.ending_consents() e;
SELECT e.subject, e.purpose FROM privacy_guard.ending_consents(for_purpose => 'regress') e;
SET ROLE regress_app;
SELECT * FROM privacy_guard.ending_consents();
RESET ROLE;
SELECT * FROM privacy_guard.ending_consents(NULL);
SELECT * FROM privacy_guard.ending_consents(for_purpose => 'regress_nothing');
-- a new meaning ends consent at once
SELECT privacy_guard.alter_purpose('regress', new_meaning => true);
SELECT e.subject, e.purpose, e.channel, e.renewal_due < e.valid_until AS before_its_time, clock_timestamp() - e.renewal_due < interval '1 minute' AS just_now
  FROM privacy_guard.ending_consents() e WHERE e.subject_category = 'regress_expiry';
ROLLBACK;
