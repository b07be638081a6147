-- Why a row is visible, or not; and what nobody guards.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null -
\t on
\pset format unaligned
CREATE ROLE regress_app;
CREATE ROLE regress_desk;
CREATE ROLE regress_reader;
GRANT privacy_guard_auditor TO regress_reader;
CREATE SCHEMA regress_crm;
GRANT USAGE ON SCHEMA regress_crm TO regress_app, regress_reader;
CREATE TABLE regress_crm.customers (id integer PRIMARY KEY, name text, email text);
INSERT INTO regress_crm.customers VALUES (1, 'a', 'a@x'), (2, 'b', 'b@x');
SELECT privacy_guard.create_purpose('regress_care', 'legitimate_interest');
SELECT privacy_guard.create_purpose('regress_mail', 'consent');
SELECT privacy_guard.create_purpose('regress_mail.offer', 'consent', consent_type => 'explicitly_expressed');
SELECT privacy_guard.create_purpose('regress_bill', 'contract', record_basis => true);
SELECT privacy_guard.grant_collection('regress_mail', 'regress_desk');
SELECT privacy_guard.grant_collection('regress_bill', 'regress_desk');
SELECT privacy_guard.grant_collection('regress_care', 'regress_desk');

CREATE FUNCTION regress_crm.why(subject text, purpose text, at timestamptz DEFAULT NULL)
    RETURNS TABLE (step integer, check_name text, outcome text, reason text, by_record boolean)
    LANGUAGE sql AS $$ SELECT step, check_name, outcome, reason, source IS NOT NULL
        FROM privacy_guard.explain_access('regress_crm.customers', subject, purpose, 'regress_app', at) $$;
SELECT * FROM regress_crm.why('1', 'regress_mail');
SELECT privacy_guard.protect('regress_crm.customers', subject_column => 'id', subject_category => 'regress_customer');
SELECT * FROM regress_crm.why('1', 'regress_mail');
SELECT privacy_guard.grant_purpose('regress_mail', 'regress_app');
SELECT privacy_guard.grant_purpose('regress_care', 'regress_app');
SELECT privacy_guard.grant_purpose('regress_bill', 'regress_app');
SELECT privacy_guard.permit('regress_crm.customers', 'regress_mail');
SELECT privacy_guard.permit('regress_crm.customers', 'regress_care');
SELECT privacy_guard.permit('regress_crm.customers', 'regress_bill');
SELECT clock_timestamp() AS before \gset
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('1', 'regress_mail', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.record_consent('1', 'regress_mail.offer', subject_category => 'regress_customer') IS NOT NULL;
RESET ROLE;
SELECT * FROM regress_crm.why('1', 'regress_mail');
SELECT * FROM regress_crm.why('1', 'regress_mail.offer');
SELECT * FROM regress_crm.why('2', 'regress_mail');
SELECT clock_timestamp() AS given \gset

-- a withdrawal above; then as it was before
SELECT privacy_guard.withdraw_consent('1', 'regress_mail', subject_category => 'regress_customer') IS NOT NULL;
SELECT check_name, outcome, reason FROM regress_crm.why('1', 'regress_mail') WHERE check_name IN ('consent', 'verdict');
SELECT check_name, outcome, reason FROM regress_crm.why('1', 'regress_mail', :'given') WHERE check_name NOT IN ('consent', 'purpose');
SELECT check_name, outcome, regexp_replace(reason, 'until .*', 'until') FROM regress_crm.why('1', 'regress_mail', :'given') WHERE check_name = 'consent';
SELECT check_name, outcome, reason FROM regress_crm.why('1', 'regress_mail', :'before') WHERE check_name IN ('consent', 'verdict');
SELECT check_name, outcome, reason FROM regress_crm.why('1', 'regress_mail', '2001-01-01');

-- version, validity, objection, restriction, recorded basis
SET TimeZone = 'UTC';
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('2', 'regress_mail', subject_category => 'regress_customer', event_time => '2020-01-01', valid_for => '1 day') IS NOT NULL;
RESET ROLE;
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_mail') WHERE check_name IN ('consent', 'verdict');
SET ROLE regress_desk;
SELECT privacy_guard.record_consent('2', 'regress_mail', subject_category => 'regress_customer') IS NOT NULL;
RESET ROLE;
SELECT privacy_guard.alter_purpose('regress_mail', new_meaning => true);
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_mail') WHERE check_name IN ('consent', 'verdict');
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_care') WHERE check_name NOT IN ('table', 'role', 'rule', 'purpose');
SELECT privacy_guard.object_to('2', 'regress_care', subject_category => 'regress_customer') IS NOT NULL;
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_care') WHERE check_name IN ('objection', 'verdict');
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_bill') WHERE check_name IN ('recorded basis', 'verdict');
SET ROLE regress_desk;
SELECT privacy_guard.record_basis('2', 'regress_bill', 'contract', subject_category => 'regress_customer') IS NOT NULL;
RESET ROLE;
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_bill') WHERE check_name IN ('recorded basis', 'verdict');
SELECT privacy_guard.restrict_processing('2', 'dispute', 'regress_customer') IS NOT NULL;
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_bill') WHERE check_name IN ('restriction', 'verdict');
SELECT privacy_guard.alter_purpose('regress_bill', legal_claims => true);
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_bill') WHERE check_name IN ('restriction', 'verdict');

-- prohibition wins over older permissions, and over any from further up
SELECT privacy_guard.prohibit('regress_crm.customers', 'regress_bill');
SELECT check_name, outcome, reason FROM regress_crm.why('2', 'regress_bill') WHERE check_name IN ('rule', 'verdict');
SELECT check_name, outcome, reason FROM regress_crm.why('1', 'regress_nothing', now());

-- for stewards and auditors
SET ROLE regress_app;
SELECT * FROM privacy_guard.explain_access('regress_crm.customers', '1', 'regress_mail');
SELECT * FROM privacy_guard.coverage();
SET ROLE regress_reader;
SELECT check_name, outcome, reason FROM privacy_guard.explain_access('regress_crm.customers', '1', 'regress_care') WHERE check_name = 'role';
SELECT * FROM privacy_guard.explain_access('regress_crm.customers', 'secret', 'regress_mail');
SELECT * FROM privacy_guard.explain_access('regress_crm.customers', NULL, 'regress_mail');
SELECT * FROM privacy_guard.explain_access(NULL, '1', 'regress_mail');
SELECT * FROM privacy_guard.explain_access('regress_crm.customers', '1', 'regress_nothing');
SELECT * FROM privacy_guard.explain_access('regress_crm.customers', '1', 'regress_mail', 0::oid);
SELECT * FROM privacy_guard.explain_access('regress_crm.customers', '1', 'regress_mail', at => now() + interval '1 day');
RESET ROLE;

-- coverage
CREATE TABLE regress_crm.leads (id integer, name text, e_mail text, phone_2 text, date_of_birth date);
CREATE TABLE regress_crm.products (id integer, name text);
CREATE VIEW regress_crm.all_customers AS SELECT id FROM regress_crm.customers;
CREATE FUNCTION regress_crm.count_all() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint';
CREATE ROLE regress_backup LOGIN BYPASSRLS;
SET ROLE regress_reader;
SELECT object, kind, column_name, finding FROM privacy_guard.coverage()
 WHERE object LIKE 'regress%' AND finding NOT LIKE 'runs as%' AND finding NOT LIKE 'reads guarded%';
SELECT object, kind FROM privacy_guard.coverage() WHERE object LIKE 'regress%' AND (finding LIKE 'runs as%' OR finding LIKE 'reads guarded%');
RESET ROLE;

SET client_min_messages = warning;
SELECT privacy_guard.drop_rule('regress_crm.customers', 'regress_bill');
SELECT privacy_guard.unprotect('regress_crm.customers');
DROP SCHEMA regress_crm CASCADE;
SELECT privacy_guard.revoke_purpose(p, 'regress_app') FROM unnest(ARRAY['regress_mail', 'regress_care', 'regress_bill']) p;
SELECT privacy_guard.revoke_collection(p, 'regress_desk') FROM unnest(ARRAY['regress_mail', 'regress_care', 'regress_bill']) p;
SELECT privacy_guard.withdraw_basis('2', 'regress_bill', subject_category => 'regress_customer') IS NOT NULL;
SELECT privacy_guard.drop_purpose(p) FROM unnest(ARRAY['regress_mail.offer', 'regress_mail', 'regress_care', 'regress_bill']) p;
DROP ROLE regress_app, regress_desk, regress_reader, regress_backup;
