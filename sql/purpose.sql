-- Purposes, kinds of data subject, and who may work for what.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\t on
BEGIN;
CREATE ROLE regress_app;
CREATE ROLE regress_desk;
GRANT regress_app TO regress_desk;

-- A tree, and what is wrong with a path
SELECT privacy_guard.create_purpose('regress', 'legitimate_interest', 'all of these');
SELECT privacy_guard.create_purpose('regress.mail', 'consent', consent_type => 'explicitly_expressed', double_opt_in => true);
SELECT privacy_guard.create_purpose(purpose => 'regress.bill', legal_basis => 'contract', record_basis => true);
SELECT purpose, version, legal_basis, consent_type, record_basis, double_opt_in, description
  FROM privacy_guard.purposes WHERE purpose ~ '^regress(\.|$)' ORDER BY 1;
\set ON_ERROR_ROLLBACK on
SELECT privacy_guard.create_purpose(NULL, 'consent');
SELECT privacy_guard.create_purpose('regress.x', NULL);
SELECT privacy_guard.create_purpose('regress.x', 'consent', export => NULL);
SELECT privacy_guard.create_purpose('regress.mail', 'consent');
SELECT privacy_guard.create_purpose('regress.none.mail', 'consent');
SELECT privacy_guard.create_purpose('Regress', 'consent');
SELECT privacy_guard.create_purpose('', 'consent');
SELECT privacy_guard.create_purpose('regress.', 'consent');
SELECT privacy_guard.create_purpose('.regress', 'consent');
SELECT privacy_guard.create_purpose('regress.a b', 'consent');
SELECT privacy_guard.create_purpose('regress.' || repeat('a', 64), 'consent');
SELECT privacy_guard.create_purpose('regress.x', 'no_such_basis');

-- Changing: the meaning has versions
SELECT privacy_guard.alter_purpose('regress.mail', description => 'letters');
SELECT privacy_guard.alter_purpose('regress.mail', consent_type => 'expressed', double_opt_in => false);
SELECT privacy_guard.alter_purpose('regress.mail', new_meaning => true);
SELECT privacy_guard.alter_purpose('regress.mail', automated_decisions => true);
SELECT privacy_guard.alter_purpose('regress.mail', automated_decisions => true);
SELECT privacy_guard.alter_purpose('regress.nothing');
SELECT privacy_guard.alter_purpose(NULL);
SELECT version, legal_basis, consent_type, double_opt_in, automated_decisions, description
  FROM privacy_guard.purposes WHERE purpose = 'regress.mail';

-- Entitlement
SELECT privacy_guard.grant_purpose('regress.mail', 'regress_app');
SELECT privacy_guard.grant_purpose('regress.mail', 'regress_app');
SELECT privacy_guard.grant_purpose('regress', 'regress_desk');
SELECT privacy_guard.grant_purpose('regress.nothing', 'regress_app');
SELECT privacy_guard.grant_purpose('regress.mail', 'regress_nobody');
SELECT privacy_guard.grant_purpose('regress.mail', 0::oid);
SELECT privacy_guard.grant_purpose('regress.mail', NULL);
SELECT privacy_guard.grant_purpose(NULL, 'regress_app');
SELECT privacy_guard.revoke_purpose('regress.mail', 'regress_desk');
SELECT privacy_guard.revoke_purpose('regress.mail', NULL);
SELECT privacy_guard.grant_collection('regress', 'regress_app');
SELECT privacy_guard.grant_confirmation('regress.mail', 'regress_app');
SELECT privacy_guard.grant_confirmation('regress.mail', 'regress_desk');
SELECT privacy_guard.revoke_collection('regress', 'regress_app');
SELECT privacy_guard.grant_confirmation('regress.mail', 'regress_app');
SELECT privacy_guard.grant_collection('regress', 'regress_desk');
SELECT processed_by, collected_by, confirmed_by FROM privacy_guard.purposes WHERE purpose = 'regress.mail';

-- Dropping: what stands in the way is named
SELECT privacy_guard.drop_purpose('regress');
SELECT privacy_guard.drop_purpose('regress.mail');
SELECT privacy_guard.revoke_confirmation('regress.mail', 'regress_app');
SELECT privacy_guard.revoke_purpose('regress.mail', 'regress_app');
SELECT privacy_guard.drop_purpose('regress.mail');
SELECT privacy_guard.drop_purpose('regress.mail');
SELECT privacy_guard.drop_purpose(NULL);
-- What comes back under an old name inherits no consent
SELECT privacy_guard.create_purpose('regress.mail', 'consent');
SELECT version FROM privacy_guard.purposes WHERE purpose = 'regress.mail';

-- Kinds of data subject
SELECT privacy_guard.create_subject_category('regress_lead', 'smallint');
SELECT privacy_guard.create_subject_category('regress_lead', 'bigint');
SELECT privacy_guard.create_subject_category('regress_other', 'varchar');
SELECT privacy_guard.create_subject_category('Regress', 'text');
SELECT privacy_guard.create_subject_category('regress_x', 'jsonb');
SELECT privacy_guard.create_subject_category(NULL, 'text');
SELECT privacy_guard.create_subject_category('regress_x', NULL);
SELECT name, key_type FROM privacy_guard.subject_category WHERE name IN ('regress_lead', 'regress_other') ORDER BY 1;
SELECT privacy_guard.drop_subject_category('regress_other');
SELECT privacy_guard.drop_subject_category('regress_other');
SELECT privacy_guard.drop_subject_category(NULL);

-- All of it is on record, old and new
SELECT object, operation, purpose, role, old_row ->> 'version' AS old, new_row ->> 'version' AS new
  FROM privacy_guard.policy_history WHERE purpose ~ '^regress(\.|$)' AND object IN ('purpose', 'purpose_grant') ORDER BY history_id;
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
    $c$create_purpose(NULL, 'consent')$c$,
    $c$create_purpose('regress.bill', 'contract')$c$,
    $c$create_purpose('A', 'consent')$c$,
    $c$create_purpose('regress.a.b', 'consent')$c$,
    $c$alter_purpose('regress_none')$c$,
    $c$drop_purpose('regress')$c$,
    $c$grant_purpose('regress_none', 'regress_app')$c$,
    $c$grant_purpose('regress', 0::oid)$c$,
    $c$revoke_purpose('regress', NULL)$c$,
    $c$create_subject_category('regress_y', 'jsonb')$c$,
    $c$create_subject_category('regress_lead', 'text')$c$,
    $c$create_subject_category('', 'text')$c$,
    $c$drop_subject_category('regress_none')$c$]) AS c;
ROLLBACK;
