-- COPY, EXPLAIN ANALYZE and what would carry rows out of the guard.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
CREATE ROLE regress_uc_owner;
CREATE ROLE regress_uc_app;
CREATE SCHEMA regress_uc AUTHORIZATION regress_uc_owner;
SET search_path = regress_uc;
SET ROLE regress_uc_owner;
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, shout text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE visit (id int, customer_id int NOT NULL, at date) PARTITION BY RANGE (at);
CREATE TABLE visit_2025 PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE plain (id int, name text);
GRANT ALL ON ALL TABLES IN SCHEMA regress_uc TO regress_uc_app;
GRANT USAGE, CREATE ON SCHEMA regress_uc TO regress_uc_app;
RESET ROLE;
INSERT INTO customer VALUES (1, 'ann'), (2, 'bob');
INSERT INTO visit VALUES (10, 1, '2025-02-01'), (20, 2, '2025-03-01');
SELECT privacy_guard.create_purpose('uc_mail', 'consent');
SELECT privacy_guard.create_purpose('uc_export', 'consent', export => true);
SELECT privacy_guard.grant_purpose(p, r) FROM unnest(ARRAY['uc_mail', 'uc_export']) p,
    unnest(ARRAY['regress_uc_owner', 'regress_uc_app', current_user::regrole]::regrole[]) r ORDER BY p, r;
SELECT privacy_guard.grant_collection('uc_mail', current_user::regrole), privacy_guard.grant_collection('uc_export', current_user::regrole);
SELECT privacy_guard.protect('customer', subject_column => 'id', subject_category => 'uc_customer');
SELECT privacy_guard.protect('visit', subject_column => 'customer_id', subject_category => 'uc_customer');
SELECT privacy_guard.permit(t, p) FROM unnest(ARRAY['customer', 'visit']::regclass[]) t, unnest(ARRAY['uc_mail', 'uc_export']) p;
SET client_min_messages = warning;
DO $$ BEGIN
    PERFORM privacy_guard.record_consent(s, p, subject_category => 'uc_customer')
       FROM (VALUES ('1', 'uc_mail'), ('1', 'uc_export'), ('3', 'uc_mail'), ('3', 'uc_export')) v (s, p);
END $$;
RESET client_min_messages;

-- COPY TO, as superuser, owner and application: the permitted rows, or the error.
COPY customer TO STDOUT;
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail';
COPY customer TO STDOUT;
COPY customer (name, id) TO STDOUT WITH (FORMAT csv, HEADER);
COPY visit_2025 TO STDOUT;
COPY (SELECT name FROM customer) TO STDOUT;
SET LOCAL ROLE regress_uc_owner;
COPY customer TO STDOUT;
SET LOCAL ROLE regress_uc_app;
COPY customer TO STDOUT;
COPY visit_2025 TO STDOUT;
COMMIT;
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail';
COPY visit TO STDOUT;
ROLLBACK;
DO $$ BEGIN EXECUTE 'COPY regress_uc.customer TO ''/dev/null'''; END $$;

-- COPY FROM: as superuser, past row security, and as application, under it.
\! printf '3\tcleo\n' > utility_copy.data
\copy customer FROM 'utility_copy.data'
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail';
\! printf '3\tcleo\n' > utility_copy.data
\copy customer FROM 'utility_copy.data'
SAVEPOINT s;
\! printf '4\tdan\n' > utility_copy.data
\copy customer FROM 'utility_copy.data'
ROLLBACK TO s;
\! printf '30,3,2025-04-01\n31,3,2025-04-02\n' > utility_copy.data
\copy visit FROM 'utility_copy.data' WITH (FORMAT csv)
SAVEPOINT s;
\! printf '30,4,2025-04-01\n' > utility_copy.data
\copy visit FROM 'utility_copy.data' WITH (FORMAT csv)
ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail'; SET LOCAL ROLE regress_uc_app;
\! printf 'name,id\ncleo,3\n' > utility_copy.data
\copy customer (name, id) FROM 'utility_copy.data' WITH (FORMAT csv, HEADER)
\! printf '30\t3\t2025-04-01\n40\t4\t2025-04-01\n' > utility_copy.data
\copy visit FROM 'utility_copy.data' WHERE customer_id = 3
SELECT * FROM customer;
SELECT * FROM visit ORDER BY id;
SAVEPOINT s;
\! printf '5\teve\n' > utility_copy.data
\copy customer FROM 'utility_copy.data'
ROLLBACK TO s;
\! printf '' > utility_copy.data
\copy customer (shout) FROM 'utility_copy.data'
ROLLBACK TO s;
COPY customer FROM '/nowhere';
ROLLBACK TO s;
COPY customer FROM PROGRAM 'true';
ROLLBACK;
-- Columns and the WHERE clause need the privileges that core asks for.
REVOKE ALL ON customer FROM regress_uc_app;
GRANT INSERT (id) ON customer TO regress_uc_app;
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail'; SET LOCAL ROLE regress_uc_app;
\! printf '' > utility_copy.data
\copy customer FROM 'utility_copy.data'
ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail'; SET LOCAL ROLE regress_uc_app;
\! printf '' > utility_copy.data
\copy customer (id) FROM 'utility_copy.data' WHERE id > 1
ROLLBACK;
BEGIN READ ONLY; SET LOCAL privacy_guard.purpose = 'uc_mail'; SET LOCAL ROLE regress_uc_app;
\! printf '' > utility_copy.data
\copy customer (id) FROM 'utility_copy.data'
ROLLBACK;
GRANT ALL ON customer TO regress_uc_app;
-- A tenant's own policy: core's refusal stays.
ALTER TABLE plain ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON plain USING (id < 3);
SELECT privacy_guard.protect('plain', subject_column => 'id', subject_category => 'uc_customer');
SELECT privacy_guard.permit('plain', 'uc_mail');
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail'; SET LOCAL ROLE regress_uc_app;
\! printf '' > utility_copy.data
\copy plain FROM 'utility_copy.data'
ROLLBACK;
SELECT privacy_guard.unprotect('plain');
DROP POLICY tenant ON plain;
ALTER TABLE plain DISABLE ROW LEVEL SECURITY;
-- The extension's own tables.
\! printf '' > utility_copy.data
\copy privacy_guard.purpose_grant FROM 'utility_copy.data'

-- EXPLAIN ANALYZE tells hidden from absent.
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail';
EXPLAIN (COSTS OFF) SELECT name FROM customer WHERE name = 'bob';
SAVEPOINT s;
EXPLAIN ANALYZE SELECT name FROM customer WHERE name = 'bob';
ROLLBACK TO s;
DO $$ BEGIN EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF) SELECT 1 FROM regress_uc.customer'; END $$;
ROLLBACK TO s;
EXPLAIN ANALYZE SELECT 1 FROM plain \g /dev/null
ROLLBACK;

-- Into an unguarded table.
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail'; SET LOCAL ROLE regress_uc_app;
SAVEPOINT s;
CREATE TABLE taken AS SELECT * FROM customer;
ROLLBACK TO s;
SELECT * INTO taken FROM customer;
ROLLBACK TO s;
CREATE MATERIALIZED VIEW taken AS SELECT * FROM customer;
ROLLBACK TO s;
PREPARE p AS SELECT * FROM customer;
CREATE TABLE taken AS EXECUTE p;
ROLLBACK TO s;
INSERT INTO plain SELECT id, name FROM customer;
ROLLBACK TO s;
WITH i AS (INSERT INTO plain SELECT id, name FROM customer RETURNING 1) SELECT * FROM i;
ROLLBACK TO s;
UPDATE plain SET name = c.name FROM customer c;
ROLLBACK TO s;
DO $$ BEGIN CREATE TABLE taken AS SELECT * FROM customer; END $$;
ROLLBACK TO s;
CREATE TEMP TABLE taken AS SELECT id, name FROM customer;
CREATE TABLE pg_temp.taken2 AS SELECT id, name FROM customer;
INSERT INTO taken SELECT id, name FROM customer;
DELETE FROM plain USING customer c WHERE plain.id = c.id;
MERGE INTO plain USING customer c ON plain.id = c.id WHEN MATCHED THEN DELETE;
SELECT * FROM taken;
SAVEPOINT s;
MERGE INTO plain USING customer c ON plain.id = c.id WHEN NOT MATCHED THEN INSERT VALUES (c.id, c.name);
ROLLBACK;
DEALLOCATE p;
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_export'; SET LOCAL ROLE regress_uc_app;
CREATE TABLE exported AS SELECT id, name FROM customer;
INSERT INTO plain SELECT id, name FROM customer;
CREATE MATERIALIZED VIEW exported2 AS SELECT id, name FROM customer;
SELECT * FROM exported;
COMMIT;
SELECT * FROM exported2;
BEGIN; SET LOCAL privacy_guard.purpose = 'uc_mail'; SET LOCAL ROLE regress_uc_app;
REFRESH MATERIALIZED VIEW exported2;
ROLLBACK;

SELECT privacy_guard.unprotect('visit'), privacy_guard.unprotect('customer');
SET client_min_messages = warning;
DROP SCHEMA regress_uc CASCADE;
SELECT privacy_guard.revoke_purpose(p, r) FROM unnest(ARRAY['uc_mail', 'uc_export']) p,
    unnest(ARRAY['regress_uc_owner', 'regress_uc_app', current_user::regrole]::regrole[]) r;
SELECT privacy_guard.revoke_collection(p, current_user::regrole) FROM unnest(ARRAY['uc_mail', 'uc_export']) p;
SELECT privacy_guard.drop_purpose('uc_mail'), privacy_guard.drop_purpose('uc_export');
DROP ROLE regress_uc_owner, regress_uc_app;
\! rm utility_copy.data
