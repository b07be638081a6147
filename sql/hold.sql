-- Legal holds: rows that nobody erases, by whatever statement.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
CREATE ROLE regress_h_owner;
CREATE ROLE regress_h_super SUPERUSER;
CREATE ROLE regress_h_auditor;
GRANT privacy_guard_auditor TO regress_h_auditor;
CREATE SCHEMA regress_h AUTHORIZATION regress_h_owner;
SET search_path = regress_h;
GRANT USAGE ON SCHEMA regress_h TO PUBLIC;
SET ROLE regress_h_owner;
CREATE TABLE region (id int PRIMARY KEY);
CREATE TABLE customer (id int PRIMARY KEY, region int REFERENCES region ON DELETE CASCADE ON UPDATE CASCADE, name text);
CREATE TABLE deal (id int PRIMARY KEY, buyer int, seller int, note varchar(20));
CREATE TABLE invoice (id int PRIMARY KEY, customer_id smallint);
CREATE TABLE line (id int PRIMARY KEY, invoice_id int REFERENCES invoice ON DELETE CASCADE ON UPDATE CASCADE, note text);
CREATE TABLE remark (id int, line_id int REFERENCES line ON DELETE SET NULL, note text);
CREATE TABLE visit (id int, customer_id bigint, at date) PARTITION BY RANGE (at);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE device (id uuid PRIMARY KEY, note text);
CREATE TABLE account (login text PRIMARY KEY, note text);
CREATE VIEW customers AS SELECT * FROM customer;
INSERT INTO region VALUES (1), (2);
INSERT INTO customer SELECT g, 1 + g % 2, 'customer ' || g FROM generate_series(1, 6) g;
INSERT INTO deal SELECT g, g, g + 1, 'deal' FROM generate_series(1, 5) g;
INSERT INTO invoice SELECT g, g FROM generate_series(1, 6) g;
INSERT INTO line SELECT g * 10, g, 'line' FROM generate_series(1, 6) g;
INSERT INTO remark SELECT g * 100, g * 10, 'remark' FROM generate_series(1, 6) g;
INSERT INTO visit SELECT g, g, '2025-05-05' FROM generate_series(1, 6) g;
INSERT INTO device SELECT ('00000000-0000-0000-0000-00000000000' || g)::uuid, 'device' FROM generate_series(1, 4) g;
INSERT INTO account VALUES ('ann', 'a'), ('bob', 'b'), (repeat('long', 20), 'l'), (repeat('long', 20) || 'er', 'm');
RESET ROLE;
SELECT privacy_guard.create_purpose('h_work', 'contract');
SELECT privacy_guard.grant_purpose('h_work', r) FROM unnest('{regress_h_owner,regress_h_super}'::regrole[]) r;
SELECT privacy_guard.protect('customer', subject_column => 'id', subject_category => 'regress_h');
SELECT privacy_guard.protect('deal', subject_columns => '{buyer,seller}', subject_category => 'regress_h');
SELECT privacy_guard.protect(t::regclass, subject_column => 'customer_id', subject_category => 'regress_h') FROM unnest('{invoice,visit}'::text[]) t;
SELECT privacy_guard.protect('line', subject_via => 'invoice_id');
SELECT privacy_guard.protect('remark', subject_via => 'line_id');
SELECT privacy_guard.protect('device', subject_column => 'id', subject_category => 'regress_h_device');
SELECT privacy_guard.protect('account', subject_column => 'login', subject_category => 'regress_h_account');
SELECT privacy_guard.permit(t::regclass, 'h_work') FROM unnest('{customer,deal,invoice,line,remark,visit,device,account}'::text[]) t;
SELECT tgrelid::regclass, tgname, tgenabled, tgtype FROM pg_trigger
 WHERE tgrelid IN ('customer'::regclass, 'visit'::regclass, 'visit_1'::regclass) AND NOT tgisinternal ORDER BY 1, 2;

-- Runs each statement as a role, says what came of it, and takes it back.
CREATE FUNCTION pg_temp.try(who regrole, VARIADIC statements text[]) RETURNS TABLE (statement text, outcome text)
    LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        BEGIN
            EXECUTE format('SET LOCAL ROLE %s', who);
            SET LOCAL privacy_guard.purpose = 'h_work';
            EXECUTE statement;
            GET DIAGNOSTICS n = ROW_COUNT;
            outcome := 'ok ' || n;
            RAISE EXCEPTION USING ERRCODE = 'YYYYY';
        EXCEPTION
            WHEN SQLSTATE 'YYYYY' THEN NULL;
            WHEN OTHERS THEN outcome := SQLSTATE || ' ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
\pset tuples_only on
SET client_min_messages = warning;
\x on
\pset format unaligned
\pset fieldsep ' | '
-- What place_hold() refuses.
SELECT * FROM pg_temp.try(current_user::regrole,
    'SELECT privacy_guard.place_hold(''m'')', 'SELECT privacy_guard.place_hold('' '', ''1'')', 'SELECT privacy_guard.place_hold(NULL, ''1'')',
    'SELECT privacy_guard.place_hold(''m'', ''1'')', 'SELECT privacy_guard.place_hold(''m'', ''x'', subject_category => ''regress_h'')',
    'SELECT privacy_guard.place_hold(''m'', relation => ''region'')', 'SELECT privacy_guard.place_hold(''m'', relation => ''visit_1'')',
    'SELECT privacy_guard.place_hold(''m'', ''1'', ''device'', ''regress_h'')', 'SELECT privacy_guard.release_hold(''m'')', 'SELECT privacy_guard.release_hold(NULL)');
SELECT * FROM pg_temp.try('regress_h_super', 'SELECT privacy_guard.place_hold(''m'', relation => ''customer'')', 'SELECT privacy_guard.release_hold(''m'')');
-- Without a hold.
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM customer', 'DELETE FROM line', 'DELETE FROM visit', 'UPDATE customer SET id = id + 100');
SELECT * FROM pg_temp.try(current_user::regrole, 'TRUNCATE customer', 'DROP TABLE customer CASCADE', 'ALTER TABLE visit DETACH PARTITION visit_1', 'SELECT privacy_guard.unprotect(''customer'')');

\echo A subject everywhere.
SELECT privacy_guard.place_hold('case 1', '3', subject_category => 'regress_h', reason => 'dispute');
SET client_min_messages = notice;
SELECT privacy_guard.place_hold('case 1', '3', subject_category => 'regress_h');
SET client_min_messages = warning;
SELECT * FROM pg_temp.try('regress_h_owner',
    'DELETE FROM customer WHERE id <> 3', 'DELETE FROM customer WHERE id = 3', 'DELETE FROM customer', 'DELETE FROM customers WHERE id = 3',
    'WITH d AS (DELETE FROM customer WHERE id = 3 RETURNING *) SELECT count(*) FROM d',
    'MERGE INTO customer c USING (VALUES (3)) v(id) ON v.id = c.id WHEN MATCHED THEN DELETE',
    'MERGE INTO customer c USING (VALUES (2)) v(id) ON v.id = c.id WHEN MATCHED THEN DELETE',
    'UPDATE customer SET id = 33 WHERE id = 3', 'UPDATE customer SET id = 33 WHERE id = 2', 'UPDATE customer SET name = ''x''',
    'INSERT INTO customer VALUES (3) ON CONFLICT (id) DO UPDATE SET id = 33',
    'DELETE FROM region WHERE id = 1', 'DELETE FROM region WHERE id = 2', 'UPDATE region SET id = 9 WHERE id = 2',
    'DELETE FROM deal WHERE seller = 3', 'DELETE FROM deal WHERE buyer = 3', 'UPDATE deal SET buyer = NULL WHERE seller = 3', 'DELETE FROM deal WHERE id > 3',
    'DELETE FROM invoice WHERE id = 3', 'DELETE FROM invoice WHERE id = 2', 'UPDATE invoice SET customer_id = 2 WHERE id = 3', 'UPDATE invoice SET id = 33 WHERE id = 3',
    'UPDATE invoice SET id = 33 WHERE id = 2', 'UPDATE invoice SET customer_id = 3 WHERE id = 2',
    'DELETE FROM line WHERE id = 30', 'DELETE FROM line WHERE id = 20', 'UPDATE line SET invoice_id = 2 WHERE id = 30', 'UPDATE line SET invoice_id = NULL WHERE id = 30',
    'DELETE FROM remark WHERE id = 300', 'DELETE FROM remark WHERE id = 200', 'UPDATE remark SET line_id = 10 WHERE id = 300', 'UPDATE remark SET note = NULL',
    'DELETE FROM visit WHERE id = 3', 'DELETE FROM visit_1 WHERE id = 3', 'DELETE FROM visit WHERE id = 2', 'UPDATE visit SET at = ''2026-02-02'' WHERE id = 3', 'UPDATE visit SET at = ''2026-02-02'' WHERE id = 2',
    'DELETE FROM device', 'DELETE FROM account', 'EXPLAIN DELETE FROM customer');
-- Tables.
SELECT * FROM pg_temp.try(current_user::regrole,
    'TRUNCATE customer CASCADE', 'TRUNCATE region CASCADE', 'TRUNCATE ONLY visit_1', 'TRUNCATE visit', 'TRUNCATE device',
    'DROP TABLE customer CASCADE', 'DROP TABLE visit_2', 'DROP TABLE device', 'DROP SCHEMA regress_h CASCADE', 'DROP OWNED BY regress_h_owner CASCADE',
    'ALTER TABLE visit DETACH PARTITION visit_1', 'ALTER TABLE visit DETACH PARTITION visit_1 CONCURRENTLY',
    'ALTER TABLE deal DROP COLUMN note', 'ALTER TABLE device DROP COLUMN note', 'ALTER TABLE customer SET UNLOGGED',
    'ALTER TABLE deal ALTER note TYPE varchar(30)', 'ALTER TABLE deal ALTER note TYPE text USING NULL', 'ALTER TABLE deal ALTER note TYPE varchar(10)', 'ALTER TABLE deal ALTER note TYPE varchar(20) USING ''''',
    'ALTER TABLE visit ADD COLUMN note text DEFAULT ''x''', 'ALTER TABLE customer ADD COLUMN u uuid DEFAULT gen_random_uuid()',
    'ALTER TABLE customer DISABLE TRIGGER ALL', 'ALTER TABLE customer DISABLE TRIGGER privacy_guard_truncate', 'DROP TRIGGER privacy_guard_truncate ON customer',
    'SELECT privacy_guard.unprotect(''customer'')', 'SELECT privacy_guard.unprotect(''remark'')', 'SELECT privacy_guard.unprotect(''device'')',
    'ALTER TABLE line DROP CONSTRAINT line_invoice_id_fkey', 'DROP EXTENSION privacy_guard CASCADE', 'DROP EXTENSION pgcrypto CASCADE', 'TRUNCATE privacy_guard.hold', 'DELETE FROM privacy_guard.hold');
SELECT * FROM pg_temp.try('regress_h_owner', 'ALTER TABLE deal DROP COLUMN note', 'ALTER TABLE deal ALTER note TYPE text USING NULL', 'ALTER TABLE customer SET UNLOGGED', 'DROP TABLE customer CASCADE',
    'ALTER TABLE line ADD CONSTRAINT a FOREIGN KEY (invoice_id) REFERENCES customer', 'ALTER TABLE line DROP CONSTRAINT line_invoice_id_fkey');
SELECT * FROM pg_temp.try('regress_h_super', 'SET LOCAL session_replication_role = replica; DELETE FROM customer WHERE id = 3',
    'SET LOCAL session_replication_role = replica; DELETE FROM remark', 'SET LOCAL session_replication_role = replica; UPDATE line SET invoice_id = 1');

\echo Several at once, of which one ends.
SELECT privacy_guard.place_hold('case 2', '3', subject_category => 'regress_h');
SELECT privacy_guard.place_hold('case 2', '4', subject_category => 'regress_h');
SELECT privacy_guard.release_hold('case 1');
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM customer WHERE id = 3', 'DELETE FROM customer WHERE id = 4', 'DELETE FROM customer WHERE id = 5');
SELECT privacy_guard.release_hold('case 2');
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM customer', 'DELETE FROM visit');

\echo A subject in one table, and the rows that lead to it.
SELECT privacy_guard.place_hold('case 3', '3', 'line', 'regress_h');
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM line WHERE id = 30', 'DELETE FROM line WHERE id = 20', 'DELETE FROM invoice WHERE id = 3', 'DELETE FROM invoice WHERE id = 2',
    'UPDATE invoice SET id = 33 WHERE id = 3', 'UPDATE invoice SET customer_id = 1 WHERE id = 3', 'DELETE FROM remark WHERE id = 300', 'DELETE FROM customer WHERE id = 3',
    'WITH i AS (DELETE FROM invoice WHERE id = 3) DELETE FROM line WHERE id = 30');
SELECT * FROM pg_temp.try(current_user::regrole, 'TRUNCATE customer', 'TRUNCATE remark', 'TRUNCATE line CASCADE', 'TRUNCATE invoice CASCADE', 'DROP TABLE remark', 'DROP TABLE line CASCADE');
SELECT privacy_guard.release_hold('case 3');

\echo A table.
SELECT privacy_guard.place_hold('case 4', relation => 'visit');
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM visit WHERE id = 2', 'DELETE FROM visit_1 WHERE id = 1', 'UPDATE visit SET customer_id = NULL', 'DELETE FROM customer');
SELECT * FROM pg_temp.try(current_user::regrole, 'DROP TABLE visit_2', 'TRUNCATE visit_2', 'ALTER TABLE visit DETACH PARTITION visit_2', 'TRUNCATE deal');
SET ROLE regress_h_owner;
CREATE TABLE visit_3 PARTITION OF visit FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
RESET ROLE;
SELECT * FROM pg_temp.try(current_user::regrole, 'TRUNCATE visit_3', 'ALTER TABLE visit DETACH PARTITION visit_3');
SELECT privacy_guard.place_hold('case 5', relation => 'remark');
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM line WHERE id = 10', 'DELETE FROM invoice WHERE id = 1');
SELECT privacy_guard.release_hold('case 4'), privacy_guard.release_hold('case 5');

\echo Keys of other types, and nobody on record.
SELECT privacy_guard.place_hold('case 6', '{00000000-0000-0000-0000-000000000002}', subject_category => 'regress_h_device');
SELECT privacy_guard.place_hold('case 6', repeat('long', 20), 'account', 'regress_h_account');
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM device WHERE id::text ~ ''2$''', 'DELETE FROM device WHERE id::text !~ ''2$''',
    'DELETE FROM account WHERE note = ''l''', 'DELETE FROM account WHERE note <> ''l''', 'UPDATE account SET login = ''x'' WHERE note = ''l''');
SELECT matter, subject, subject_category, table_name, reason FROM privacy_guard.holds ORDER BY 2;
SET ROLE regress_h_auditor;
SELECT matter, subject, subject_category, table_name, reason FROM privacy_guard.holds ORDER BY 3;
RESET ROLE;
SET ROLE regress_h_owner;
SELECT * FROM privacy_guard.holds;
RESET ROLE;

\echo Nobody is exempt.
SELECT privacy_guard.set_mode('account', 'monitor');
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM account WHERE note = ''l''');
SELECT privacy_guard.set_mode('account', 'enforce');
GRANT privacy_guard_break_glass TO CURRENT_USER;
SELECT privacy_guard.break_glass('regress');
DELETE FROM account WHERE note = 'l';
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'account'::regclass AND tgname LIKE 'privacy_guard%';
UPDATE pg_class SET relhastriggers = true WHERE oid = 'account'::regclass;
DELETE FROM account WHERE note = 'l';
TRUNCATE account;
UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = 'account'::regclass AND tgname LIKE 'privacy_guard%';
UPDATE pg_class SET relhastriggers = true WHERE oid = 'account'::regclass;
SELECT privacy_guard.end_break_glass();
REVOKE privacy_guard_break_glass FROM CURRENT_USER;
\echo A hold of the same transaction, taken back.
BEGIN;
SELECT privacy_guard.place_hold('case 7', '1', subject_category => 'regress_h');
SAVEPOINT s;
SET LOCAL privacy_guard.purpose = 'h_work';
SET LOCAL ROLE regress_h_owner;
DELETE FROM customer WHERE id = 1;
ROLLBACK;
SELECT * FROM pg_temp.try('regress_h_owner', 'DELETE FROM customer WHERE id = 1');
-- On record.
SELECT object, operation, relation, old_row ->> 'matter' AS released, new_row ->> 'matter' AS placed FROM privacy_guard.policy_history
 WHERE object = 'hold' AND coalesce(old_row, new_row) ->> 'matter' IN ('case 1', 'case 4', 'case 6') ORDER BY history_id;
SELECT privacy_guard.release_hold('case 6');

SELECT privacy_guard.unprotect(t::regclass) FROM unnest('{remark,line,customer,deal,invoice,visit,device,account}'::text[]) t;
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'privacy_guard%' AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'regress_h'::regnamespace);
SELECT privacy_guard.revoke_purpose('h_work', r) FROM unnest('{regress_h_owner,regress_h_super}'::regrole[]) r;
SELECT privacy_guard.drop_purpose('h_work');
DROP SCHEMA regress_h CASCADE;
DROP OWNED BY regress_h_owner;
DROP ROLE regress_h_owner, regress_h_super, regress_h_auditor;
