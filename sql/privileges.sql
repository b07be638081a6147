-- What PUBLIC, stewards, auditors, monitors and superusers may call and read; and that every object says what it is.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\t on
BEGIN;
\set ON_ERROR_ROLLBACK on
-- Tables and views that PUBLIC can read
SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname LIKE 'privacy\_guard%' AND c.relkind IN ('r', 'v', 'S')
   AND has_table_privilege('pg_read_all_settings', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') ORDER BY 1;
-- Verbs that PUBLIC may call: their bodies decide
SELECT p.proname FROM pg_proc p
 WHERE p.pronamespace = 'privacy_guard'::regnamespace AND p.prosrc LIKE 'verb\_%'
   AND has_function_privilege('pg_read_all_settings', p.oid, 'EXECUTE') ORDER BY 1;
-- Definer functions of PUBLIC, and anything it may call among the bodies
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace IN ('privacy_guard'::regnamespace, 'privacy_guard_internal'::regnamespace)
   AND (p.prosecdef OR p.pronamespace = 'privacy_guard_internal'::regnamespace)
   AND has_function_privilege('pg_read_all_settings', p.oid, 'EXECUTE') ORDER BY 1;
-- Every verb has its body, and every function that runs SQL a fixed search_path
SELECT p.proname FROM pg_proc p
 WHERE p.pronamespace = 'privacy_guard'::regnamespace AND p.prosrc LIKE 'verb\_%'
   AND NOT EXISTS (SELECT FROM pg_proc b WHERE b.pronamespace = 'privacy_guard_internal'::regnamespace
                      AND b.proname = p.proname AND b.proargtypes = p.proargtypes);
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace IN ('privacy_guard'::regnamespace, 'privacy_guard_internal'::regnamespace)
   AND l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL
   AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'));
-- Everything has a comment
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace IN ('privacy_guard'::regnamespace, 'privacy_guard_internal'::regnamespace)
   AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.oid::regclass FROM pg_class c
 WHERE c.relnamespace IN ('privacy_guard'::regnamespace, 'privacy_guard_internal'::regnamespace) AND c.relkind IN ('r', 'v')
   AND obj_description(c.oid, 'pg_class') IS NULL;
SELECT t.oid::regtype FROM pg_type t
 WHERE t.typnamespace IN ('privacy_guard'::regnamespace, 'privacy_guard_internal'::regnamespace) AND t.typtype IN ('b', 'e', 'c')
   AND t.typelem = 0 AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
   AND obj_description(t.oid, 'pg_type') IS NULL AND obj_description(t.typrelid, 'pg_class') IS NULL;

-- The steward is named at installation, and a superuser is no steward
SELECT pg_has_role(session_user, 'privacy_guard_steward', 'member');
CREATE ROLE regress_super SUPERUSER;
CREATE ROLE regress_nobody;
SET ROLE regress_super;
SELECT privacy_guard.create_purpose('regress_x', 'consent');
SELECT privacy_guard.grant_purpose('regress_x', 'regress_super');
SELECT * FROM privacy_guard.explain_access('pg_class', '1', 'regress_x');
SELECT privacy_guard.lift_restriction('1');
-- nor does calling a body go round the verb
SELECT privacy_guard_internal.invoker();
SELECT * FROM privacy_guard_internal.read_source('SELECT 1');
SET ROLE regress_nobody;
SELECT privacy_guard.create_purpose('regress_x', 'consent');
SELECT privacy_guard.alter_purpose('regress_x');
SELECT privacy_guard.drop_purpose('regress_x');
SELECT privacy_guard.grant_collection('regress_x', 'regress_nobody');
SELECT privacy_guard_internal.create_purpose('regress_x', 'consent');
SELECT * FROM privacy_guard.consent_record;
SELECT * FROM privacy_guard.subject_state;
SELECT * FROM privacy_guard.consents;
SELECT * FROM privacy_guard.rules;
SELECT * FROM privacy_guard.status;
SELECT count(*) >= 0 FROM privacy_guard.purposes;
RESET ROLE;
GRANT pg_monitor TO regress_nobody;
SET ROLE regress_nobody;
SELECT item FROM privacy_guard.status;
RESET ROLE;

-- A caller's settings do not reach a body
CREATE SCHEMA regress_trap;
CREATE FUNCTION regress_trap.covers(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION regress_trap.starts_with(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
SET search_path = regress_trap, pg_catalog;
SET standard_conforming_strings = off;
SET transform_null_equals = on;
SELECT privacy_guard.create_purpose('regress_x', 'consent');
SELECT privacy_guard.create_purpose('regress_x.y.z', 'consent');
SHOW search_path;
SHOW transform_null_equals;
ROLLBACK;
