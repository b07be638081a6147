-- Recording, withdrawing, objecting, restricting, other bases, double opt-in.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\t on
BEGIN;
\set ON_ERROR_ROLLBACK on
CREATE ROLE regress_boss SUPERUSER;
GRANT privacy_guard_steward TO regress_boss;
SET SESSION AUTHORIZATION regress_boss;
CREATE ROLE regress_desk;
CREATE ROLE regress_app;
CREATE ROLE regress_mailer;
CREATE ROLE regress_nobody;
SELECT privacy_guard.create_purpose('regress', 'legitimate_interest');
SELECT privacy_guard.create_purpose('regress.mail', 'consent');
SELECT privacy_guard.create_purpose('regress.mail.offer', 'consent');
SELECT privacy_guard.create_purpose('regress_news', 'consent', double_opt_in => true);
SELECT privacy_guard.create_subject_category('regress_customer', 'integer');
SELECT privacy_guard.create_subject_category('regress_lead', 'uuid');
SELECT privacy_guard.create_subject_category('regress_guest', 'text');
SELECT privacy_guard.grant_collection('regress.mail', 'regress_desk');
SELECT privacy_guard.grant_collection('regress_news', 'regress_desk');
SELECT privacy_guard.grant_purpose('regress', 'regress_app');
SELECT privacy_guard.grant_confirmation('regress_news', 'regress_mailer');
CREATE FUNCTION pg_temp.state(subject text, category text DEFAULT 'regress_customer')
    RETURNS TABLE (purpose text, channel text, status privacy_guard.consent_status, type privacy_guard.consent_type, ends boolean)
    LANGUAGE sql AS $$ SELECT d.purpose, d.channel, d.status, d.consent_type, d.valid_until <> 'infinity'
                         FROM privacy_guard.decisions(privacy_guard.consent_of(subject, category)) d $$;
GRANT EXECUTE ON FUNCTION pg_temp.state(text, text) TO PUBLIC;

-- Giving: the right to collect reaches down the tree, and nothing else implies it
SELECT privacy_guard.record_consent('1', 'regress.mail', subject_category => 'regress_customer');
SET ROLE regress_app;
SELECT privacy_guard.record_consent('1', 'regress.mail', subject_category => 'regress_customer');
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('1', 'regress', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.record_consent(' +01 ', 'regress.mail.offer', consent_type => 'explicitly_expressed', valid_for => '1 year',
    subject_category => 'regress_customer', evidence => '{"form": 7}', collection_method => 'web form',
    privacy_notice => 'v3', jurisdiction => 'DE', given_by => 'parent') IS NOT NULL;
SELECT privacy_guard.record_consent('1', 'regress.mail', channel => 'post', subject_category => 'regress_customer') IS NOT NULL;
SELECT * FROM pg_temp.state('1');

-- Keys have one form
SELECT privacy_guard.record_consent('{A0EEBC99-9C0B4EF8-BB6D6BB9BD380A11}', 'regress.mail', subject_category => 'regress_lead') IS NOT NULL;
SELECT privacy_guard.record_consent('a0eebc999c0b4ef8bb6d6bb9bd380a11', 'regress.mail', subject_category => 'regress_lead') IS NOT NULL;
SELECT privacy_guard.record_consent('me@here', 'regress.mail', subject_category => 'regress_guest') IS NOT NULL;
RESET ROLE;
SELECT subject_category, subject, count(*) FROM privacy_guard.consents WHERE subject_category IN ('regress_customer', 'regress_lead', 'regress_guest') GROUP BY 1, 2 ORDER BY 1, 2;
SET ROLE regress_desk;

-- Bad input, never with its value
SELECT privacy_guard.record_consent(NULL, 'regress.mail', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', NULL, subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.nothing', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', subject_category => 'regress_nothing');
SELECT privacy_guard.record_consent('1', 'regress.mail', subject_category => NULL);
SELECT privacy_guard.record_consent('secret', 'regress.mail', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1.5', 'regress.mail', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('9223372036854775808', 'regress.mail', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('secret', 'regress.mail', subject_category => 'regress_lead');
SELECT privacy_guard.record_consent('', 'regress.mail', subject_category => 'regress_guest');
SELECT privacy_guard.record_consent(repeat('x', 1025), 'regress.mail', subject_category => 'regress_guest');
SELECT privacy_guard.record_consent('1', 'regress.mail', status => 'maybe', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', status => NULL, subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', consent_type => 'loud', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', valid_for => '-1 day', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', status => 'refused', valid_for => '1 day', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', event_time => now() + interval '1 hour', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', event_time => '-infinity', subject_category => 'regress_customer');
SELECT privacy_guard.record_consent('1', 'regress.mail', channel => 'Post Box', subject_category => 'regress_customer');
SELECT privacy_guard.withdraw_consent('1', 'regress.mail', status => 'given', subject_category => 'regress_customer');
SELECT * FROM pg_temp.state('1');

-- What is older than the latest decision is kept, and changes nothing
SELECT privacy_guard.record_consent('1', 'regress.mail', status => 'refused', event_time => '2020-01-01', subject_category => 'regress_customer') IS NOT NULL;
SELECT * FROM pg_temp.state('1');

-- Withdrawing needs less, and reaches down
SET ROLE regress_nobody;
SELECT privacy_guard.withdraw_consent('1', 'regress.mail', subject_category => 'regress_customer');
SELECT privacy_guard.consent_of('1', 'regress_customer');
SET ROLE regress_app;
SELECT privacy_guard.withdraw_consent('1', 'regress.mail', channel => 'post', subject_category => 'regress_customer') IS NOT NULL;
SELECT * FROM pg_temp.state('1');
SELECT privacy_guard.withdraw_consent('1', 'regress', subject_category => 'regress_customer') IS NOT NULL;
SELECT * FROM pg_temp.state('1');
-- Of a stranger it is a notice, and recorded
SELECT privacy_guard.withdraw_consent('77', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;
SELECT * FROM pg_temp.state('77');
SELECT privacy_guard.consent_of('78', 'regress_customer');
RESET ROLE;
SELECT r.purpose, r.channel, r.event_state, r.consent_type, r.validity_duration, r.collection_method, r.privacy_notice,
       r.jurisdiction, r.given_by, c.event_state AS caused_by, r.recorded_by
  FROM privacy_guard.consent_record r JOIN privacy_guard.consents s ON s.pii_principal_id = r.pii_principal_id AND s.purpose = 'regress'
  LEFT JOIN privacy_guard.consent_record c ON c.record_id = r.caused_by
 ORDER BY r.recorded_at;

-- The ledger is append-only, for its owner too
UPDATE privacy_guard.consent_record SET purpose = 'x';
DELETE FROM privacy_guard.consent_record;
TRUNCATE privacy_guard.consent_record;
TRUNCATE privacy_guard.subject_event;
DELETE FROM privacy_guard.policy_history;

-- Double opt-in: who asks does not see the token
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('5', 'regress_news', subject_category => 'regress_customer', confirm_within => '-1 day');
SELECT privacy_guard.record_consent('5', 'regress_news', subject_category => 'regress_customer', valid_for => '1 year') IS NOT NULL;
SELECT * FROM pg_temp.state('5');
SELECT * FROM privacy_guard.pending_confirmations();
SELECT * FROM privacy_guard.consent_confirmation;
SET ROLE regress_mailer;
SELECT subject, subject_category, purpose, length(token), token AS token FROM privacy_guard.pending_confirmations() \gset mail_
SELECT :'mail_subject', :'mail_purpose', :mail_length;
SELECT count(*) AS "a token is handed out once" FROM privacy_guard.pending_confirmations();
SET ROLE regress_nobody;
SELECT privacy_guard.confirm_consent('guess');
SELECT privacy_guard.confirm_consent(NULL);
SELECT privacy_guard.confirm_consent(:'mail_token') IS NOT NULL;
SELECT privacy_guard.confirm_consent(:'mail_token');
SET ROLE regress_desk;
SELECT * FROM pg_temp.state('5');
-- a new request leaves valid consent as it is; a withdrawal overtakes it
SELECT privacy_guard.record_consent('5', 'regress_news', subject_category => 'regress_customer') IS NOT NULL;
SELECT * FROM pg_temp.state('5');
SET ROLE regress_mailer;
SELECT token FROM privacy_guard.pending_confirmations() \gset mail_
SET ROLE regress_desk;
SELECT privacy_guard.withdraw_consent('5', 'regress_news', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.confirm_consent(:'mail_token');
SELECT * FROM pg_temp.state('5');

-- Objection
SET ROLE regress_nobody;
SELECT privacy_guard.object_to('1', 'regress', subject_category => 'regress_customer');
SET ROLE regress_app;
SELECT privacy_guard.object_to('1', 'regress', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.object_to('1', 'regress.mail', reason => 'enough', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.object_to('1', 'regress.nothing', subject_category => 'regress_customer');
SELECT privacy_guard.object_to('x', 'regress', subject_category => 'regress_customer');
SELECT privacy_guard.lift_objection('1', 'regress.mail', subject_category => 'regress_customer');
SET ROLE regress_desk;
SELECT privacy_guard.lift_objection('1', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.lift_objection('1', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;

-- Restriction
SET ROLE regress_nobody;
SELECT privacy_guard.restrict_processing('1', 'dispute', 'regress_customer');
SET ROLE regress_app;
SELECT privacy_guard.restrict_processing('1', NULL, 'regress_customer');
SELECT privacy_guard.restrict_processing('1', 'dispute', 'regress_customer') IS NOT NULL;
SELECT privacy_guard.restrict_processing('1', 'claim', 'regress_customer') IS NOT NULL;
SELECT privacy_guard.lift_restriction('1', 'claim', 'regress_customer');
RESET ROLE;
SELECT privacy_guard.lift_restriction('1', 'other', 'regress_customer') IS NOT NULL;
SELECT privacy_guard.lift_restriction('1', 'claim', 'regress_customer') IS NOT NULL;
SELECT privacy_guard.lift_restriction('1', subject_category => 'regress_customer') IS NOT NULL;

-- Other bases
SET ROLE regress_app;
SELECT privacy_guard.record_basis('1', 'regress.mail', 'contract', subject_category => 'regress_customer');
SET ROLE regress_desk;
SELECT privacy_guard.record_basis('1', 'regress.mail', 'contract', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.record_basis('1', 'regress.mail', 'contract', now() + interval '1 day', 'K-17', 'regress_customer') IS NOT NULL;
SELECT privacy_guard.record_basis('1', 'regress.mail', 'consent', subject_category => 'regress_customer');
SELECT privacy_guard.record_basis('1', 'regress.mail', NULL, subject_category => 'regress_customer');
SELECT privacy_guard.record_basis('1', 'regress.mail', 'contract', '2020-01-01', subject_category => 'regress_customer');
RESET ROLE;
SELECT privacy_guard.drop_purpose('regress.mail.offer');
SELECT privacy_guard.drop_purpose('regress.mail');
SET ROLE regress_app;
SELECT privacy_guard.withdraw_basis('1', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.withdraw_basis('1', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;
RESET ROLE;
SELECT event, purpose, legal_basis, valid_until <> 'infinity' AS ends, reason, recorded_by FROM privacy_guard.subject_event
 WHERE purpose LIKE 'regress%' OR reason IN ('dispute', 'claim', 'other') ORDER BY recorded_at;
-- A table's own consent column follows, by its owner's hand; its triggers run as the owner
CREATE ROLE regress_owner;
CREATE SCHEMA regress_crm AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_crm.people (id integer PRIMARY KEY, consent privacy_guard.consent);
INSERT INTO regress_crm.people VALUES (21), (22);
CREATE FUNCTION regress_crm.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'trigger runs as %', current_user;
    RETURN NEW;
END $$;
CREATE TRIGGER tell BEFORE UPDATE ON regress_crm.people FOR EACH ROW EXECUTE FUNCTION regress_crm.tell();
RESET ROLE;
SELECT privacy_guard.protect('regress_crm.people', subject_column => 'id', consent_column => 'consent', subject_category => 'regress_customer');
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('21', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.withdraw_consent('22', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;
RESET ROLE;
SELECT privacy_guard.unprotect('regress_crm.people');
SELECT p.id, d.purpose, d.status FROM regress_crm.people p, privacy_guard.decisions(p.consent) d ORDER BY 1;
-- not for a superuser's table with somebody's trigger
SELECT privacy_guard.protect('regress_crm.people', subject_column => 'id', consent_column => 'consent', subject_category => 'regress_customer');
ALTER TABLE regress_crm.people OWNER TO regress_boss;
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('22', 'regress.mail', subject_category => 'regress_customer') IS NOT NULL;
RESET ROLE;

-- Codes, and a hint for each
CREATE FUNCTION pg_temp.refusal(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code text;
    hint text;
BEGIN
    EXECUTE call;
    RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, hint = PG_EXCEPTION_HINT;
    RETURN code || CASE WHEN hint = '' THEN ' no hint' ELSE '' END;
END $$;
SELECT c, pg_temp.refusal('SELECT privacy_guard.' || c) FROM unnest(ARRAY[
    $c$record_consent('x', 'regress_news', subject_category => 'regress_customer')$c$,
    $c$record_consent('1', 'regress', subject_category => 'regress_customer')$c$,
    $c$withdraw_consent('x', 'regress', subject_category => 'regress_customer')$c$,
    $c$withdraw_consent('1', 'regress', subject_category => 'none')$c$,
    $c$withdraw_consent('1', 'none')$c$,
    $c$withdraw_consent('1', 'regress', subject_category => 'regress_customer', status => 'x')$c$,
    $c$withdraw_consent(NULL, 'regress', subject_category => 'regress_customer')$c$,
    $c$withdraw_consent('1', 'regress', subject_category => 'regress_customer', event_time => 'infinity')$c$,
    $c$withdraw_consent('1', 'regress', subject_category => 'regress_customer', channel => 'A')$c$,
    $c$confirm_consent('x')$c$,
    $c$pending_confirmations()$c$,
    $c$object_to('1', 'none')$c$,
    $c$lift_objection('1', 'regress')$c$,
    $c$restrict_processing('1', NULL)$c$,
    $c$record_basis('1', 'regress', 'contract')$c$,
    $c$withdraw_basis('1', 'none')$c$]) AS c;
ROLLBACK;
