-- Switching row security off, and changing what enforces it.

-- ## the owner disables row security
-- stock: leaks
-- guarded: refused 55000
\c - owner
ALTER TABLE customer DISABLE ROW LEVEL SECURITY;
SELECT note FROM customer;

-- ## the owner stops forcing row security on himself
-- stock: leaks
-- guarded: refused 55000
\c - owner
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
SELECT note FROM customer;

-- ## the same from dynamic SQL in a DO block
-- stock: leaks
-- guarded: refused 55000
\c - owner
DO $$ BEGIN EXECUTE 'ALTER TABLE customer DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY'; END $$;
SELECT note FROM customer;

-- ## the same from a function, by a superuser
-- stock: leaks
-- guarded: refused 55000
\c - super
CREATE FUNCTION evil() RETURNS void LANGUAGE sql AS 'ALTER TABLE customer DISABLE ROW LEVEL SECURITY';
SELECT evil();
SELECT note FROM customer;

-- ## a permissive policy beside the others
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE POLICY evil ON customer USING (true);
\c - app
SELECT note FROM customer;

-- ## the owner rewrites the policies
-- stock: leaks
-- guarded: refused 42501
\c - owner
ALTER POLICY purpose ON customer USING (true);
DROP POLICY purpose ON customer;
ALTER POLICY privacy_guard ON customer USING (true);
DROP POLICY privacy_guard ON customer;
CREATE POLICY evil ON customer USING (true);
\c - app
SELECT note FROM customer;

-- ## a superuser clears the flags in pg_class
-- stock: leaks
-- guarded: refused 42501
\c - super
UPDATE pg_class SET relrowsecurity = false, relforcerowsecurity = false WHERE oid = 'customer'::regclass;
\c - app
SELECT note FROM customer;

-- ## a superuser deletes policies from the catalog
-- stock: leaks
-- guarded: refused 42501
\c - super
DELETE FROM pg_policy WHERE polrelid = 'customer'::regclass;
UPDATE pg_class SET relrowsecurity = false WHERE oid = 'customer'::regclass;
\c - app
SELECT note FROM customer;

-- ## a superuser allows himself to modify system tables
-- stock: leaks
-- guarded: refused 42501
\c - super
SET allow_system_table_mods = on;
UPDATE pg_class SET relrowsecurity = false, relforcerowsecurity = false WHERE oid = 'customer'::regclass;
UPDATE pg_extension SET extname = 'other' WHERE extname = 'privacy_guard';
\c - app
SELECT note FROM customer;
\c - bypass
SELECT note FROM customer;

-- ## the flags are cleared by MERGE, through a view and in a CTE
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE VIEW evil AS SELECT * FROM pg_class;
WITH x AS (UPDATE evil SET relrowsecurity = false WHERE relname = 'customer' RETURNING 1) SELECT count(*) FROM x;
MERGE INTO pg_class c USING (SELECT 1) x ON c.relname = 'customer' WHEN MATCHED THEN UPDATE SET relrowsecurity = false;
\c - app
SELECT note FROM customer;

-- ## a row that may not be written, with triggers switched off
-- stock: leaks
-- guarded: refused 42501
\c - super
SET session_replication_role = replica;
INSERT INTO customer VALUES (11, 1, 'x', 'sec' || 'ret');
\c - checker
SELECT note FROM customer WHERE id = 11;

-- ## the owner disables triggers, then writes what he may not
-- stock: leaks
-- guarded: refused 42501
\c - owner
ALTER TABLE customer DISABLE TRIGGER ALL;
ALTER TABLE customer DISABLE TRIGGER USER;
ALTER TABLE customer DISABLE TRIGGER privacy_guard_check;
DROP TRIGGER privacy_guard_check ON customer;
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
INSERT INTO customer VALUES (11, 1, 'x', 'sec' || 'ret');
\c - checker
SELECT note FROM customer WHERE id = 11;

-- ## the extension is dropped, by any way there is
-- stock: none (no extension)
-- guarded: refused 42501
\c - super
DROP EXTENSION privacy_guard CASCADE;
DROP EXTENSION pgcrypto CASCADE;
DROP SCHEMA privacy_guard CASCADE;
DROP SCHEMA privacy_guard_internal CASCADE;
DO $$ BEGIN EXECUTE 'DROP EXTENSION privacy_guard CASCADE'; END $$;
DROP OWNED BY postgres CASCADE;
SELECT note FROM customer;

-- ## the extension's schema is renamed
-- stock: none (no extension)
-- guarded: refused 42501
\c - super
ALTER SCHEMA privacy_guard RENAME TO elsewhere;
ALTER SCHEMA privacy_guard_internal RENAME TO elsewhere_too;
ALTER EXTENSION privacy_guard SET SCHEMA public;
SELECT note FROM customer;
\c - bypass
SELECT note FROM customer;

-- ## objects are taken out of the extension and changed
-- stock: none (no extension)
-- guarded: refused 42501
\c - super
ALTER EXTENSION privacy_guard DROP TABLE privacy_guard.guarded_table;
ALTER TABLE privacy_guard.guarded_table RENAME TO no_table;
DROP TABLE privacy_guard.guarded_table CASCADE;
SELECT note FROM customer;

-- ## the guard is replaced by a function that always says yes
-- stock: none (no guard)
-- guarded: refused 42501
\c - super
CREATE OR REPLACE FUNCTION privacy_guard_internal.guard(internal, regclass, VARIADIC "any") RETURNS boolean
    LANGUAGE internal AS 'tsmatchsel';
ALTER FUNCTION privacy_guard_internal.guard(internal, regclass, "any") RENAME TO other;
CREATE OR REPLACE FUNCTION privacy_guard_internal.check_new_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT note FROM customer;

-- ## the extension's tables are written by a superuser
-- stock: none (no extension)
-- guarded: refused 42501
\c - super
INSERT INTO privacy_guard.purpose_grant (purpose, role, privilege) VALUES ('billing', 'super', 'process');
UPDATE privacy_guard.guarded_table SET mode = 'monitor';
DELETE FROM privacy_guard.guarded_table;
WITH x AS (DELETE FROM privacy_guard.guarded_table RETURNING 1) SELECT count(*) FROM x;
DO $$ BEGIN DELETE FROM privacy_guard.guarded_table; END $$;
SET session_replication_role = replica;
DELETE FROM privacy_guard.guarded_table;
SELECT note FROM customer;
SET privacy_guard.purpose = 'billing'; SELECT note FROM customer;

-- ## the extension's tables are emptied, locked, loaded and altered
-- stock: none (no extension)
-- guarded: refused 42501
\c - super
TRUNCATE privacy_guard.guarded_table CASCADE;
COPY (SELECT 'super', 'reason', 'infinity', 'super', now()) TO :'file';
COPY privacy_guard.exempt_role FROM :'file';
ALTER TABLE privacy_guard.guarded_table DISABLE TRIGGER ALL;
CREATE RULE evil AS ON SELECT TO privacy_guard.guarded_table DO INSTEAD SELECT * FROM privacy_guard.guarded_table;
ALTER TABLE privacy_guard.subject_state ENABLE ROW LEVEL SECURITY;
SELECT note FROM customer;

-- ## the table is dropped out of sight: renamed, moved, given away
-- stock: none (policies move with the table)
-- guarded: filtered
\c - owner
ALTER TABLE customer RENAME TO client;
CREATE SCHEMA evil;
ALTER TABLE client SET SCHEMA evil;
SELECT note FROM evil.client;
SELECT note FROM client;

-- ## the subject column is renamed, retyped or dropped
-- stock: leaks
-- guarded: refused 42501
\c - owner
ALTER TABLE customer RENAME COLUMN id TO other;
ALTER TABLE customer RENAME COLUMN region TO id;
ALTER TABLE customer ALTER COLUMN id TYPE text;
ALTER TABLE customer DROP COLUMN id CASCADE;
ALTER TABLE customer ADD COLUMN id bigint DEFAULT 1;
CREATE POLICY evil ON customer USING (true);
SELECT note FROM customer;
