-- Roles that row security does not touch, and what they own.

-- ## a superuser reads
-- stock: leaks
-- guarded: filtered
\c - super
SELECT note FROM customer;

-- ## BYPASSRLS reads
-- stock: leaks
-- guarded: filtered
\c - bypass
SELECT note FROM customer;

-- ## BYPASSRLS with row_security off
-- stock: leaks
-- guarded: refused 42501
\c - bypass
SET row_security = off;
SELECT note FROM customer;

-- ## a superuser gives the application BYPASSRLS
-- stock: leaks
-- guarded: filtered
\c - super
ALTER ROLE app BYPASSRLS;
\c - app
SELECT note FROM customer;

-- ## a view of a superuser
-- stock: leaks
-- guarded: filtered
\c - super
CREATE VIEW evil AS SELECT * FROM customer;
GRANT SELECT ON evil TO app;
\c - app
SELECT note FROM evil;

-- ## views on views on views
-- stock: leaks
-- guarded: filtered
\c - super
CREATE VIEW evil_1 AS SELECT * FROM customer;
CREATE VIEW evil_2 AS SELECT a.note FROM evil_1 a JOIN evil_1 b USING (id);
CREATE VIEW evil_3 AS TABLE evil_2 UNION ALL TABLE evil_2;
GRANT SELECT ON evil_3 TO app;
\c - app
SELECT note FROM evil_3;

-- ## a view with security_invoker, read by BYPASSRLS
-- stock: leaks
-- guarded: filtered
\c - owner
CREATE VIEW evil WITH (security_invoker) AS SELECT * FROM customer;
GRANT SELECT ON evil TO bypass;
\c - bypass
SELECT note FROM evil;

-- ## a rule on another table reads the guarded one
-- stock: leaks
-- guarded: filtered
\c - super
CREATE TABLE evil (note text);
CREATE RULE "_RETURN" AS ON SELECT TO evil DO INSTEAD SELECT note::text FROM customer;
GRANT SELECT ON evil TO app;
\c - app
SELECT note FROM evil;

-- ## SECURITY DEFINER, PL/pgSQL, of a superuser
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION evil() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN RETURN QUERY SELECT note::text FROM customer; END $$;
\c - app
SELECT evil();

-- ## SECURITY DEFINER, SQL, of BYPASSRLS
-- stock: leaks
-- guarded: filtered
\c - bypass
CREATE FUNCTION evil() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT note::text FROM customer';
\c - app
SELECT evil();
SELECT * FROM evil();

-- ## SECURITY DEFINER of a role that sees every row, made by a superuser
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE FUNCTION evil() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT note::text FROM customer';
ALTER FUNCTION evil() OWNER TO checker;
\c - app
SELECT evil();

-- ## SET ROLE to a role that sees every row
-- stock: leaks
-- guarded: refused 42501
\c - super
SET ROLE checker;
SELECT note FROM customer;

-- ## SET SESSION AUTHORIZATION to a role that sees every row
-- stock: leaks
-- guarded: refused 42501
\c - super
SET SESSION AUTHORIZATION checker;
SELECT note FROM customer;

-- ## a materialized view made by BYPASSRLS, for others to read
-- stock: leaks
-- guarded: refused 42501
\c - bypass
CREATE MATERIALIZED VIEW evil AS SELECT note FROM customer;
GRANT SELECT ON evil TO app;
\c - app
SELECT note FROM evil;

-- ## a materialized view that is refreshed later
-- stock: leaks
-- guarded: refused 42501
\c - bypass
CREATE MATERIALIZED VIEW evil AS SELECT note FROM customer WITH NO DATA;
REFRESH MATERIALIZED VIEW evil;
GRANT SELECT ON evil TO app;
\c - app
SELECT note FROM evil;

-- ## a set-returning SQL function that is inlined for a superuser
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION evil() RETURNS SETOF customer LANGUAGE sql STABLE AS 'SELECT * FROM customer';
SELECT note FROM evil();
EXECUTE x;
PREPARE x AS SELECT note FROM evil() WHERE id > $1;
EXECUTE x(0);

-- ## a SQL function with a BEGIN ATOMIC body
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION evil() RETURNS SETOF text LANGUAGE sql STABLE BEGIN ATOMIC SELECT note::text FROM customer; END;
SELECT x FROM evil() x;
SELECT evil();

-- ## a scalar SQL function in the select list and in WHERE
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION evil(bigint) RETURNS text LANGUAGE sql STABLE AS 'SELECT note::text FROM customer WHERE id = $1';
SELECT evil(g) FROM generate_series(1, 10) g;
SELECT g FROM generate_series(1, 10) g WHERE evil(g) LIKE '%hid' || 'den%';

-- ## CREATEROLE makes itself a member of the owner
-- stock: leaks
-- guarded: refused 42501
\c - creator
GRANT owner TO creator;
SET ROLE owner;
ALTER TABLE customer DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
SELECT note FROM customer;

-- ## CREATEROLE makes a role that is a member of the owner
-- stock: leaks
-- guarded: refused 42501
\c - creator
CREATE ROLE evil LOGIN IN ROLE owner;
\c - evil
BEGIN;
SET LOCAL :purpose = 'marketing';
SET ROLE owner;
ALTER TABLE customer DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
SELECT note FROM customer;
COMMIT;

-- ## CREATEROLE takes over a login
-- stock: leaks
-- guarded: refused 42501
\c - creator
ALTER ROLE owner PASSWORD 'x';
CREATE ROLE evil ROLE creator;
GRANT owner TO evil WITH ADMIN OPTION;
SET ROLE owner;
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
SELECT note FROM customer;

-- ## CREATEROLE gives itself the server's files and programs
-- stock: leaks
-- guarded: refused 42501
\c - creator
GRANT pg_execute_server_program, pg_read_server_files, pg_write_server_files TO creator;
CREATE TEMP TABLE evil (line text);
COPY evil FROM PROGRAM 'strings -n 6 base/*/* 2>/dev/null | grep -a "^.*note of" | head -n 100 || true';
SELECT DISTINCT line FROM evil;
COPY evil FROM PROGRAM 'cat base/*/* | tr -c "[:print:]" "\n" | grep -a "note of"';
SELECT DISTINCT line FROM evil;

-- ## a superuser makes himself the data steward
-- stock: leaks
-- guarded: refused 42501
\c - super
GRANT privacy_guard_steward TO super;
CREATE ROLE evil LOGIN IN ROLE privacy_guard_steward;
SELECT privacy_guard.grant_purpose('billing', 'super');
SELECT privacy_guard.exempt_role('super', 'evil');
SET app.purpose = 'billing';
BEGIN; SET LOCAL privacy_guard.purpose = 'billing'; SELECT note FROM customer; COMMIT;

-- ## a superuser speaks for the data steward
-- stock: none (no steward)
-- guarded: refused 42501
\c - super
SET ROLE steward;
SELECT privacy_guard.grant_purpose('billing', 'super');
RESET ROLE;
SET SESSION AUTHORIZATION steward;
SELECT privacy_guard.grant_purpose('billing', 'super');
RESET SESSION AUTHORIZATION;
BEGIN; SET LOCAL privacy_guard.purpose = 'billing'; SELECT note FROM customer; COMMIT;
