-- Data that no purpose needs any more: who is noted, and how it is erased.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\t on
\set ON_ERROR_ROLLBACK on

-- The steps one by one, as verbs of the steward
BEGIN;
CREATE FUNCTION privacy_guard_internal.regress_step(command text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
$$ DECLARE result text; BEGIN EXECUTE command INTO result; RETURN result; END $$;
CREATE FUNCTION privacy_guard.regress_step(command text) RETURNS text LANGUAGE C AS 'privacy_guard', 'verb_steward';
ALTER EXTENSION privacy_guard ADD FUNCTION privacy_guard.regress_step(text);
CREATE FUNCTION pg_temp.step(command text) RETURNS text LANGUAGE sql AS
$$ SELECT privacy_guard.regress_step('SELECT privacy_guard_internal.' || command) $$;
SELECT privacy_guard.create_purpose('regress', 'consent');
SELECT privacy_guard.create_purpose('regress.mail', 'consent', consent_type => 'explicitly_expressed');
SELECT privacy_guard.create_purpose('regress_care', 'contract', record_basis => true);
SELECT privacy_guard.create_purpose('regress_stats', 'legitimate_interest');
SELECT privacy_guard.create_subject_category('regress_expiry', 'bigint');
SELECT privacy_guard.grant_collection(p, current_user::regrole) FROM unnest('{regress,regress_care,regress_stats}'::text[]) p;
CREATE TABLE regress_person (id bigint PRIMARY KEY, consent privacy_guard.consent);
SELECT privacy_guard.protect('regress_person', 'id', subject_category => 'regress_expiry');
CREATE FUNCTION pg_temp.number(subject text) RETURNS bigint LANGUAGE sql AS
$$ SELECT s.subject FROM privacy_guard.subject_state s JOIN privacy_guard.subject_category c USING (category_id)
    WHERE c.name = 'regress_expiry' AND s.key = $1 $$;
CREATE FUNCTION pg_temp.live(VARIADIC subjects text[]) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(s || CASE WHEN pg_temp.step(format('has_live_basis(%L, %s)', 'public.regress_person', coalesce(pg_temp.number(s), -1)))::boolean
                               THEN '' ELSE ' not' END, ', ' ORDER BY s) FROM unnest(subjects) s $$;
SELECT privacy_guard.record_consent(s, p, subject_category => 'regress_expiry') IS NOT NULL
  FROM (VALUES ('1', 'regress'), ('2', 'regress.mail'), ('3', 'regress'), ('5', 'regress')) v (s, p);
SELECT privacy_guard.record_consent('4', 'regress.mail', consent_type => 'explicitly_expressed', subject_category => 'regress_expiry') IS NOT NULL;
SELECT privacy_guard.withdraw_consent('3', 'regress', subject_category => 'regress_expiry') IS NOT NULL;
SELECT privacy_guard.restrict_processing('5', 'dispute', subject_category => 'regress_expiry') IS NOT NULL;
-- a table that permits nothing; then consent; then a contract on record; then a legitimate interest
SELECT pg_temp.live('1', '2', '3', '4', '5', '999');
SELECT privacy_guard.permit('regress_person', 'regress');
SELECT pg_temp.live('1', '2', '3', '4', '5', '999');
SELECT privacy_guard.permit('regress_person', 'regress_care');
SELECT pg_temp.live('1', '2', '3', '4', '5', '999');
SELECT privacy_guard.record_basis('3', 'regress_care', 'contract', subject_category => 'regress_expiry') IS NOT NULL;
SELECT privacy_guard.restrict_processing('3', 'dispute', subject_category => 'regress_expiry') IS NOT NULL;
SELECT pg_temp.live('1', '2', '3', '4', '5', '999');
SELECT privacy_guard.withdraw_basis('3', 'regress_care', subject_category => 'regress_expiry') IS NOT NULL;
SELECT pg_temp.live('1', '2', '3', '4', '5', '999');
SAVEPOINT interest;
SELECT privacy_guard.permit('regress_person', 'regress_stats');
SELECT privacy_guard.object_to('2', 'regress_stats', subject_category => 'regress_expiry') IS NOT NULL;
SELECT pg_temp.live('1', '2', '3', '4', '5', '999');
ROLLBACK TO interest;
-- a row's own consent may know more; only a refusal stands above it
SELECT privacy_guard.unprotect('regress_person');
SELECT privacy_guard.protect('regress_person', 'id', subject_category => 'regress_expiry', consent_column => 'consent');
SELECT privacy_guard.permit('regress_person', 'regress');
SELECT pg_temp.live('1', '2', '3', '4', '5', '999');
SELECT privacy_guard.unprotect('regress_person');
SELECT privacy_guard.protect('regress_person', 'id', subject_category => 'regress_expiry');
SELECT privacy_guard.permit('regress_person', 'regress');

-- Nothing is noted without a rule
SELECT pg_temp.step(format('unneeded_sweep(%L, 1000)', 'public.regress_person')), pg_temp.step(format('unneeded_at(%L)', 'public.regress_person'));
SELECT privacy_guard.regress_step($$INSERT INTO privacy_guard.retention (relation, period, action, erase_unneeded_after, effective_from)
    VALUES ('public.regress_person', NULL, 'delete', '1 second', '2020-01-01') RETURNING 1$$);
CREATE FUNCTION pg_temp.pass(batch integer) RETURNS TABLE (noted text) LANGUAGE plpgsql AS $$
BEGIN
    WHILE pg_temp.step(format('unneeded_sweep(%L, %s)', 'public.regress_person', batch))::integer >= batch LOOP
        ASSERT (SELECT p.next_subject > 0 FROM privacy_guard.unneeded_pass p WHERE p.relation = 'public.regress_person'::regclass);
    END LOOP;
    RETURN QUERY SELECT string_agg(s.key, ' ' ORDER BY s.key) FROM privacy_guard.unneeded_since u JOIN privacy_guard.subject_state s USING (subject)
        WHERE u.relation = 'public.regress_person'::regclass;
END $$;
CREATE FUNCTION pg_temp.due() RETURNS text LANGUAGE sql AS
$$ SELECT pg_temp.step(format('unneeded_batch(%L, 10)', 'public.regress_person')) $$;
SELECT pg_temp.step(format('unneeded_at(%L)', 'public.regress_person')), pg_temp.step('retention_due_at()');
SELECT * FROM pg_temp.pass(2);
SELECT * FROM pg_temp.pass(1000);
SELECT pg_temp.due();
-- Who consents again is forgotten; who did between two passes begins anew
SELECT privacy_guard.record_consent('2', 'regress', subject_category => 'regress_expiry') IS NOT NULL;
SELECT * FROM pg_temp.pass(1000);
SELECT privacy_guard.withdraw_consent('2', 'regress', subject_category => 'regress_expiry') IS NOT NULL;
SELECT * FROM pg_temp.pass(1000);
SELECT privacy_guard.record_consent('2', 'regress', subject_category => 'regress_expiry') IS NOT NULL;
SELECT privacy_guard.withdraw_consent('2', 'regress', subject_category => 'regress_expiry') IS NOT NULL;
SELECT privacy_guard.withdraw_consent('4', 'regress', subject_category => 'regress_expiry') IS NOT NULL;
SELECT pg_sleep(1.1);
SELECT pg_temp.step(format('unneeded_at(%L)', 'public.regress_person'))::timestamptz <= clock_timestamp();
-- 3 is restricted
SELECT pg_temp.due();
SELECT * FROM pg_temp.pass(1000);
SELECT pg_temp.due();
SELECT pg_sleep(1.1);
SELECT pg_temp.due();
-- each once, until it is tried again
SELECT pg_temp.due();
SELECT privacy_guard.regress_step($$UPDATE privacy_guard.unneeded_since SET next_try = '2020-01-01' RETURNING 1$$);
SELECT privacy_guard.lift_restriction('3', subject_category => 'regress_expiry') IS NOT NULL;
SELECT privacy_guard.set_mode('regress_person', 'monitor');
SELECT pg_temp.due(), pg_temp.step(format('unneeded_at(%L)', 'public.regress_person'));
SELECT privacy_guard.set_mode('regress_person', 'enforce');
SELECT privacy_guard.regress_step($$UPDATE privacy_guard.retention SET effective_from = now() + interval '1 day' WHERE relation = 'public.regress_person'::regclass RETURNING 1$$);
SELECT pg_temp.due();
SELECT privacy_guard.regress_step($$UPDATE privacy_guard.retention SET effective_from = now() WHERE relation = 'public.regress_person'::regclass RETURNING 1$$);
SELECT privacy_guard.record_consent('2', 'regress', subject_category => 'regress_expiry') IS NOT NULL;
SELECT pg_temp.due();
SELECT pg_temp.step(format('unneeded_at(%L)', 'public.regress_person'))::timestamptz <= clock_timestamp();
-- What has been erased begins anew as well
SELECT pg_temp.step(format('unneeded_done(%L, %L)', 'public.regress_person', '{3,7}'));
SELECT string_agg(s.key, ' ' ORDER BY s.key) FROM privacy_guard.unneeded_since u JOIN privacy_guard.subject_state s USING (subject);
SELECT * FROM pg_temp.pass(1000);
SELECT pg_temp.due();
-- A failure is over when nothing is left to do
SELECT pg_temp.step(format('retention_failed(%L, %L, %L)', task, 'public.regress_person', '55P03')) FROM unnest('{unneeded,rows}'::text[]) task;
SELECT failures, last_error FROM privacy_guard.retention_state WHERE relation = 'regress_person'::regclass;
SELECT rows FROM privacy_guard.run_retention('regress_person');
SELECT failures, last_error FROM privacy_guard.retention_state WHERE relation = 'regress_person'::regclass;
-- And a table that is not guarded any more is forgotten
SELECT privacy_guard.unprotect('regress_person');
SELECT count(*) FROM privacy_guard.unneeded_since WHERE relation = 'regress_person'::regclass;
SELECT count(*) FROM privacy_guard.unneeded_pass WHERE relation = 'regress_person'::regclass;
ROLLBACK;

-- And with all that erases
SET client_min_messages = warning;
CREATE ROLE regress_unneeded_owner;
CREATE SCHEMA regress_unneeded AUTHORIZATION regress_unneeded_owner;
SET search_path = regress_unneeded;
SET timezone = 'UTC';
SET ROLE regress_unneeded_owner;
CREATE TABLE people (id bigint PRIMARY KEY, email text, seen date);
CREATE TABLE orders (id int PRIMARY KEY, person integer, placed timestamp) PARTITION BY HASH (id);
CREATE TABLE orders_0 PARTITION OF orders FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE lines (order_id int REFERENCES orders, what text, placed timestamp);
CREATE TABLE meetings (guest bigint, host bigint, day date);
CREATE TABLE leads (mail varchar(40), name text, came timestamptz);
CREATE TABLE claims (person bigint REFERENCES people, what text);
INSERT INTO people SELECT i, 'p' || i || '@example.com', '2020-01-01' FROM generate_series(1, 7) i;
INSERT INTO orders SELECT i, 1 + i % 7, '2020-01-01' FROM generate_series(1, 14) i;
INSERT INTO lines SELECT 1 + i % 14, 'line', '2020-01-01' FROM generate_series(1, 28) i;
INSERT INTO meetings VALUES (1, 2, '500000-01-01'), (2, 1, NULL), (2, 5, '2020-01-01'), (2, 6, '2020-01-01');
INSERT INTO leads SELECT i || '@example.com', 'name ' || i, '2020-01-01' FROM generate_series(1, 2) i;
CREATE INDEX ON meetings (guest);
RESET ROLE;
SELECT privacy_guard.create_purpose('unneeded_mail', 'consent');
SELECT privacy_guard.create_purpose('unneeded_care', 'contract', record_basis => true);
SELECT privacy_guard.grant_collection(p, current_user::regrole), privacy_guard.grant_purpose(p, current_user::regrole) FROM unnest('{unneeded_mail,unneeded_care}'::text[]) p;
SELECT privacy_guard.protect('people', 'id', subject_category => 'unneeded_person');
SELECT privacy_guard.protect('orders', 'person', subject_category => 'unneeded_person');
SELECT privacy_guard.protect('lines', subject_via => 'order_id');
SELECT privacy_guard.protect('meetings', subject_columns => '{guest,host}', subject_category => 'unneeded_person');
SELECT privacy_guard.protect('leads', 'mail', subject_category => 'unneeded_lead');
SELECT privacy_guard.permit(t, p) FROM unnest('{people,orders,lines,meetings,leads}'::regclass[]) t, unnest('{unneeded_mail,unneeded_care}'::text[]) p;
SELECT privacy_guard.retain(t, NULL, c, effective_from => now(), erase_unneeded_after => '1 second')
  FROM (VALUES ('people', 'seen'), ('orders', NULL), ('lines', 'placed'), ('meetings', 'day')) v (t, c);
SELECT privacy_guard.retain('leads', NULL, NULL, action => 'anonymise', masks => '{"name": "redact"}', effective_from => now(), erase_unneeded_after => '1 second');
GRANT privacy_guard_auditor TO CURRENT_USER;
GRANT privacy_guard_break_glass TO CURRENT_USER;
SELECT privacy_guard.break_glass('looking at what is left', '1 hour') IS NOT NULL;
CREATE FUNCTION pg_temp.remaining() RETURNS TABLE (people text, orders text, lines bigint, meetings text, leads text) LANGUAGE sql AS $$
    SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM regress_unneeded.people),
           (SELECT string_agg(person::text, ' ' ORDER BY person) FROM regress_unneeded.orders),
           (SELECT count(*) FROM regress_unneeded.lines),
           (SELECT string_agg(guest || '+' || host, ' ' ORDER BY guest, host) FROM regress_unneeded.meetings),
           (SELECT string_agg(coalesce(mail, '?') || ':' || name, ' ' ORDER BY mail, name) FROM regress_unneeded.leads) $$;
RESET client_min_messages;

-- 1 and 3 withdraw, 3 is restricted; 4 had a contract, 5 has one; 6 comes back in time; 7 never gave anything
SELECT count(privacy_guard.record_consent(i::text, 'unneeded_mail', subject_category => 'unneeded_person')) FROM unnest('{1,2,3,6}'::int[]) i;
SELECT count(privacy_guard.withdraw_consent(i::text, 'unneeded_mail', subject_category => 'unneeded_person')) FROM unnest('{1,3,6}'::int[]) i;
SELECT privacy_guard.record_consent('7', 'unneeded_mail', status => 'refused', subject_category => 'unneeded_person') IS NOT NULL;
SELECT privacy_guard.restrict_processing('3', 'dispute', subject_category => 'unneeded_person') IS NOT NULL;
SELECT count(privacy_guard.record_basis(i::text, 'unneeded_care', 'contract', subject_category => 'unneeded_person')) FROM unnest('{4,5}'::int[]) i;
SELECT privacy_guard.withdraw_basis('4', 'unneeded_care', subject_category => 'unneeded_person') IS NOT NULL;
SELECT privacy_guard.record_consent('1@example.com', 'unneeded_mail', subject_category => 'unneeded_lead') IS NOT NULL;
SELECT privacy_guard.record_consent('2@example.com', 'unneeded_mail', status => 'refused', subject_category => 'unneeded_lead') IS NOT NULL;
SELECT table_name, rows FROM privacy_guard.run_retention();
SELECT u.relation, string_agg(s.key, ' ' ORDER BY s.key) FROM privacy_guard.unneeded_since u JOIN privacy_guard.subject_state s USING (subject) GROUP BY 1 ORDER BY 1;
SELECT pg_sleep(1.1);
SELECT privacy_guard.record_consent('6', 'unneeded_mail', subject_category => 'unneeded_person') IS NOT NULL;
INSERT INTO claims VALUES (7, 'broken');
SELECT table_name, action, rows FROM privacy_guard.run_retention();
SELECT * FROM pg_temp.remaining();
-- What was in the way is tried again after an hour
SELECT string_agg(s.key, ' ' ORDER BY s.key), min(u.next_try) > clock_timestamp() + interval '50 minutes' AS later
  FROM privacy_guard.unneeded_since u JOIN privacy_guard.subject_state s USING (subject) WHERE u.relation = 'people'::regclass AND u.next_try > clock_timestamp();
SELECT relation, reason, rows, privacy_guard.cardinality(subjects) AS subjects, new ->> 'action' AS action, (new ->> 'batches')::int AS batches
  FROM privacy_guard.audit_log WHERE kind = 'retention' AND operation = 'Erase' AND relation LIKE 'regress_unneeded.%' ORDER BY leaf_index;
SELECT privacy_guard.end_break_glass();
SET client_min_messages = warning;
SELECT privacy_guard.unprotect(t) FROM unnest('{lines,meetings,leads,orders,people}'::regclass[]) t;
SELECT count(*) FROM privacy_guard.unneeded_since;
SELECT privacy_guard.revoke_collection(p, current_user::regrole), privacy_guard.revoke_purpose(p, current_user::regrole) FROM unnest('{unneeded_mail,unneeded_care}'::text[]) p;
SELECT privacy_guard.withdraw_basis('5', 'unneeded_care', subject_category => 'unneeded_person') IS NOT NULL;
SELECT privacy_guard.drop_purpose(p) FROM unnest('{unneeded_mail,unneeded_care}'::text[]) p;
DROP SCHEMA regress_unneeded CASCADE;
DROP ROLE regress_unneeded_owner;
REVOKE privacy_guard_auditor, privacy_guard_break_glass FROM CURRENT_USER;
