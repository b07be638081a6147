-- Importing consents: into gaps only, all or nothing, read as the caller.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\t on
BEGIN;
\set ON_ERROR_ROLLBACK on
CREATE ROLE regress_import;
CREATE ROLE regress_nobody;
GRANT CREATE ON SCHEMA public TO regress_import;
SELECT privacy_guard.create_purpose('regress_mail', 'consent');
SELECT privacy_guard.create_purpose('regress_phone', 'consent');
SELECT privacy_guard.create_purpose('regress_news', 'consent', double_opt_in => true);
SELECT privacy_guard.create_purpose('regress_other', 'consent');
SELECT privacy_guard.create_subject_category('regress_customer', 'integer');
SELECT privacy_guard.create_subject_category('regress_lead', 'uuid');
SELECT privacy_guard.create_subject_category('regress_guest', 'text');
SELECT privacy_guard.grant_collection('regress_mail', 'regress_import');
SELECT privacy_guard.grant_collection('regress_phone', 'regress_import');
SELECT privacy_guard.grant_collection('regress_news', 'regress_import');
CREATE TABLE regress_old (id integer, key text, purpose text, state text, kind text, agreed timestamptz, ends date, via text, note text);
INSERT INTO regress_old
    SELECT i, i::text, CASE i % 2 WHEN 0 THEN 'regress_mail' ELSE 'regress_phone' END,
           CASE i % 5 WHEN 0 THEN 'refused' ELSE 'given' END, 'expressed', '2024-01-01'::timestamptz + i * interval '1 minute',
           CASE WHEN i % 10 = 1 THEN '2030-01-01'::date END, CASE WHEN i % 4 = 0 THEN 'post' END, 'n'
      FROM generate_series(1, 100) i;
GRANT SELECT ON regress_old TO regress_import;
\set mapping '{"subject": "id", "purpose": "purpose", "status": "state", "consent_type": "kind", "event_time": "agreed", "valid_until": "ends", "channel": "via", "category": "=regress_customer", "collection_method": "=old CRM"}'
SET ROLE regress_import;

-- what is on record stays
SELECT privacy_guard.record_consent('1', 'regress_phone', status => 'refused', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.import_consents('regress_old', :'mapping', max_rows => 30);
SELECT privacy_guard.import_consents('regress_old', :'mapping');
SELECT privacy_guard.import_consents('regress_old', :'mapping');
SELECT d.purpose, d.channel, d.status FROM privacy_guard.decisions(privacy_guard.consent_of('1', 'regress_customer')) d;
SELECT d.purpose, d.channel, d.status, d.valid_until = '2030-01-01' AS ends FROM privacy_guard.decisions(privacy_guard.consent_of('11', 'regress_customer')) d;
SELECT d.purpose, d.channel, d.status FROM privacy_guard.decisions(privacy_guard.consent_of('4', 'regress_customer')) d;
RESET ROLE;
SELECT count(*), count(DISTINCT pii_principal_id), min(collection_method), min(recorded_by) FROM privacy_guard.consent_record
 WHERE purpose IN ('regress_mail', 'regress_phone') AND collection_method = 'old CRM';
SET ROLE regress_import;
-- other kinds of key, constants, views, several rows for one subject
SELECT privacy_guard.import_consents('regress_old', '{"subject": "key", "purpose": "=regress_mail", "event_time": "=2024-02-01", "category": "=regress_guest"}');
CREATE VIEW regress_view AS SELECT md5(id::text)::uuid AS lead, p AS purpose, agreed FROM regress_old, unnest(ARRAY['regress_mail', 'regress_phone']) p;
SELECT privacy_guard.import_consents('regress_view', '{"subject": "lead", "purpose": "purpose", "event_time": "agreed", "category": "=regress_lead"}');
SELECT privacy_guard.import_consents('regress_view', '{"subject": "lead", "purpose": "purpose", "event_time": "agreed", "category": "=regress_lead"}');

-- Bad mappings
SELECT privacy_guard.import_consents(NULL, :'mapping');
SELECT privacy_guard.import_consents('regress_old', NULL);
SELECT privacy_guard.import_consents('regress_old', '[1]');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "event_time": "agreed", "colour": "red"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "event_time": 7}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "event_time": "agreed", "category": "note"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "event_time": "agreed", "category": "=nothing"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "nothing", "purpose": "=regress_mail", "event_time": "agreed", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "event_time": "note", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id; DROP TABLE regress_old", "purpose": "=regress_mail", "event_time": "agreed", "category": "=regress_customer"}');

-- Bad rows: counted, none imported, none shown
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_nothing", "event_time": "agreed", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_other", "event_time": "agreed", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_news", "event_time": "agreed", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "note", "purpose": "=regress_mail", "event_time": "agreed", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "note", "purpose": "=regress_mail", "event_time": "agreed", "category": "=regress_lead"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "status": "note", "event_time": "agreed", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "consent_type": "=loud", "event_time": "agreed", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "event_time": "ends", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "event_time": "=2999-01-01", "category": "=regress_customer"}');
SELECT privacy_guard.import_consents('regress_old', '{"subject": "id", "purpose": "=regress_mail", "event_time": "agreed", "channel": "=Post Box", "category": "=regress_customer"}');

-- Sources: the caller's rights, and no silent filter
SELECT privacy_guard.import_consents('regress_view_id', '{}');
SELECT privacy_guard.import_consents('pg_class_oid_index', :'mapping');
SET ROLE regress_nobody;
SELECT privacy_guard.import_consents('regress_old', :'mapping');
RESET ROLE;
ALTER TABLE regress_old ENABLE ROW LEVEL SECURITY;
SET ROLE regress_import;
SELECT privacy_guard.import_consents('regress_old', :'mapping');
-- code in a view runs as the caller, outside of the verb
CREATE FUNCTION regress_who() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'reading as %', current_user;
    DELETE FROM privacy_guard.rule;
    RETURN '1';
END $$;
CREATE VIEW regress_spy AS SELECT regress_who() AS id, now() AS agreed;
SELECT privacy_guard.import_consents('regress_spy', '{"subject": "id", "purpose": "=regress_mail", "event_time": "agreed", "category": "=regress_customer"}');
ROLLBACK;
