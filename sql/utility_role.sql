-- Memberships that would lead around the guards, on PostgreSQL 15 within reach of CREATEROLE.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
CREATE ROLE regress_ur_owner;
CREATE ROLE regress_ur_deputy IN ROLE regress_ur_owner;
CREATE ROLE regress_ur_super SUPERUSER LOGIN;
CREATE ROLE regress_ur_admin CREATEROLE;
CREATE ROLE regress_ur_bypass BYPASSRLS;
CREATE ROLE regress_ur_steward CREATEROLE;
CREATE ROLE regress_ur_app;
CREATE ROLE regress_ur_group;
GRANT privacy_guard_steward TO regress_ur_steward;
GRANT regress_ur_owner TO regress_ur_steward, regress_ur_admin WITH ADMIN OPTION;
GRANT regress_ur_app TO regress_ur_admin WITH ADMIN OPTION;
CREATE SCHEMA regress_ur AUTHORIZATION regress_ur_owner;
SET search_path = regress_ur;
CREATE TABLE customer (id int PRIMARY KEY, name text);
ALTER TABLE customer OWNER TO regress_ur_owner;

-- Our own roles are kept as soon as the extension is installed; the rest is as it was.
SET ROLE regress_ur_admin;
GRANT privacy_guard_steward TO regress_ur_admin;
CREATE ROLE regress_ur_x IN ROLE privacy_guard_break_glass;
ALTER GROUP privacy_guard_auditor ADD USER regress_ur_app;
GRANT regress_ur_owner TO regress_ur_app;
REVOKE regress_ur_owner FROM regress_ur_app;
RESET ROLE;
ALTER ROLE privacy_guard_steward RENAME TO x;

SELECT privacy_guard.create_purpose('ur_mail', 'consent');
SELECT privacy_guard.protect('customer', subject_column => 'id', subject_category => 'ur_customer');
SET ROLE regress_ur_admin;
GRANT regress_ur_owner TO regress_ur_app;
GRANT regress_ur_deputy TO regress_ur_admin;
GRANT regress_ur_bypass TO regress_ur_admin;
GRANT pg_execute_server_program TO regress_ur_admin;
GRANT pg_read_server_files TO regress_ur_admin;
GRANT privacy_guard_steward TO regress_ur_admin;
GRANT regress_ur_steward TO regress_ur_admin;
CREATE ROLE regress_ur_x IN ROLE regress_ur_app, regress_ur_owner;
ALTER GROUP regress_ur_owner ADD USER regress_ur_admin;
ALTER ROLE regress_ur_owner PASSWORD 'mine';
ALTER ROLE regress_ur_steward LOGIN PASSWORD 'mine';
DO $$ BEGIN EXECUTE 'GRANT regress_ur_owner TO regress_ur_admin'; END $$;
-- What a CREATEROLE is for goes on.
CREATE ROLE regress_ur_x IN ROLE regress_ur_app ROLE regress_ur_group;
ALTER ROLE regress_ur_x PASSWORD 'x';
GRANT regress_ur_app TO regress_ur_group;
ALTER ROLE regress_ur_app SET privacy_guard.purpose = 'ur_mail';
-- A superuser who keeps no rules.
SET ROLE regress_ur_super;
GRANT regress_ur_owner TO regress_ur_app;
CREATE ROLE regress_ur_y SUPERUSER;
ALTER ROLE regress_ur_app BYPASSRLS;
ALTER ROLE regress_ur_app REPLICATION;
ALTER ROLE regress_ur_bypass NOBYPASSRLS;
ALTER ROLE regress_ur_app NOREPLICATION;
ALTER ROLE regress_ur_bypass NOLOGIN;
ALTER SYSTEM SET shared_preload_libraries = '';
ALTER SYSTEM RESET ALL;
ALTER SYSTEM SET work_mem = '4MB';
ALTER SYSTEM RESET work_mem;
-- Who has logged in counts: a superuser can SET ROLE to anybody.
RESET ROLE;
\set installer :USER
\c - regress_ur_super
SET ROLE privacy_guard_steward;
SELECT privacy_guard.create_purpose('ur_mine', 'consent');
RESET ROLE;
SET SESSION AUTHORIZATION regress_ur_steward;
SELECT privacy_guard.create_purpose('ur_mine', 'consent');
GRANT regress_ur_owner TO regress_ur_app;
\c - :installer
SET search_path = regress_ur;
-- The steward may.
SET ROLE regress_ur_steward;
GRANT regress_ur_owner TO regress_ur_app;
RESET ROLE;
GRANT privacy_guard_auditor TO regress_ur_app;

-- A dropped role leaves nothing that another could inherit with its number.
SELECT privacy_guard.grant_purpose('ur_mail', 'regress_ur_x'), privacy_guard.set_mode('customer', 'monitor', 'regress_ur_x');
SELECT count(*) FROM privacy_guard.purpose_grant WHERE purpose = 'ur_mail';
DROP ROLE regress_ur_x;
SELECT count(*) FROM privacy_guard.purpose_grant WHERE purpose = 'ur_mail';
SELECT count(*) FROM privacy_guard.table_mode WHERE relation = 'customer'::regclass;

-- A declaration that ends with its own statement.
SET privacy_guard.purpose = 'ur_mail';
BEGIN; SET privacy_guard.purpose = 'ur_mail'; COMMIT;
SET LOCAL privacy_guard.purpose = 'ur_mail';
SET privacy_guard.application_user = 'ann';
RESET privacy_guard.purpose;
DO $$ BEGIN SET privacy_guard.purpose = 'ur_mail'; END $$;

SELECT privacy_guard.unprotect('customer'), privacy_guard.drop_purpose('ur_mail');
SET client_min_messages = warning;
DROP SCHEMA regress_ur CASCADE;
DROP ROLE regress_ur_owner, regress_ur_deputy, regress_ur_super, regress_ur_admin, regress_ur_bypass, regress_ur_steward,
    regress_ur_app, regress_ur_group;
