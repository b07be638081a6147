-- Erasing what is due: by rows, masks, partitions; in the order of foreign keys; what blocks it; receipts.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
CREATE ROLE regress_erase_owner;
CREATE SCHEMA regress_erase AUTHORIZATION regress_erase_owner;
SET search_path = regress_erase, public;
SET ROLE regress_erase_owner;
CREATE TABLE customers (id bigint PRIMARY KEY, email text, joined date, city varchar(6), born date, income integer,
                        score numeric(8, 2), left_on timestamptz, note text);
CREATE TABLE orders (id int PRIMARY KEY, customer bigint, placed timestamp, CHECK (placed > '-infinity'));
CREATE TABLE lines (order_id int REFERENCES orders ON DELETE CASCADE, what text);
CREATE TABLE claims (order_id int REFERENCES orders, what text);
CREATE TABLE visits (customer bigint, host bigint, came timestamptz);
INSERT INTO customers SELECT i, 'c' || i || '@example.com', '2020-01-01', 'Berlin', '1980-05-17', 41250 + i, 1234.56,
                             timestamptz '2020-01-01 UTC' + i * interval '1 day', 'note' FROM generate_series(1, 9) i;
INSERT INTO customers (id, email, left_on) VALUES (10, 'x', 'infinity'), (11, 'y', NULL), (12, 'z', '-infinity'), (13, NULL, '4500-01-01 BC');
INSERT INTO orders SELECT i, i, timestamp '2020-01-01' + i * interval '1 day' FROM generate_series(1, 12) i;
INSERT INTO lines SELECT i, 'line' FROM generate_series(1, 12) i;
INSERT INTO claims VALUES (3, 'broken'), (5, 'late');
INSERT INTO visits SELECT i, 10 - i, timestamptz '2020-01-01 UTC' + i * interval '1 day' FROM generate_series(1, 9) i;
CREATE INDEX ON customers (left_on);
CREATE INDEX ON orders (placed);
RESET ROLE;
SELECT privacy_guard.create_purpose('erase_test', 'contract');
SELECT privacy_guard.protect('customers', 'id', subject_category => 'erase_customer');
SELECT privacy_guard.protect('orders', 'customer', subject_category => 'erase_customer');
SELECT privacy_guard.protect('lines', subject_via => 'order_id');
SELECT privacy_guard.protect('visits', subject_columns => '{customer,host}', subject_category => 'erase_customer');
SELECT privacy_guard.permit(t, 'erase_test') FROM unnest('{customers,orders,lines,visits}'::regclass[]) t;
-- Those whose rows are to be erased have numbers but for 6.
SELECT privacy_guard.grant_collection('erase_test', current_user::regrole);
SELECT count(privacy_guard.record_consent(i::text, 'erase_test', subject_category => 'erase_customer'))
  FROM generate_series(1, 9) i WHERE i <> 6;
SELECT privacy_guard.grant_purpose('erase_test', current_user::regrole);
CREATE VIEW regress_erase.receipts AS
    SELECT relation, purpose, operation, rows, privacy_guard.cardinality(subjects) AS subjects, reason,
           new - '{rule,cutoff,started,duration_ms,to,from}'::text[] AS new, new ->> 'from' AS "from", new ->> 'to' AS "to"
      FROM privacy_guard.audit_log WHERE kind = 'retention' AND operation = 'Erase' AND relation LIKE 'regress_erase.%' ORDER BY leaf_index;
GRANT privacy_guard_auditor TO CURRENT_USER;
GRANT privacy_guard_break_glass TO CURRENT_USER;
SET timezone = 'UTC';
-- To see what is left.
SELECT privacy_guard.break_glass('looking at what is left', '1 hour') IS NOT NULL AS open;

-- Nothing is due before effective_from, and nothing without a rule.
SELECT privacy_guard.retain('orders', '1 year', 'placed', effective_from => now() + interval '1 day');
SELECT * FROM privacy_guard.run_retention();
SELECT privacy_guard.retain('orders', '6 years', 'placed', effective_from => now());

-- Rows that others refer to stay, and are counted; lines go with their orders.
SELECT * FROM privacy_guard.run_retention('orders');
SELECT id FROM orders ORDER BY id;
SELECT order_id FROM lines ORDER BY order_id;
SELECT table_name, rules, action, backlog, kept, blocked, blocked_by, rows_total, failures, state FROM privacy_guard.retention_status;
SELECT * FROM regress_erase.receipts;
DELETE FROM claims;
SELECT * FROM privacy_guard.run_retention('orders');
SELECT blocked, blocked_by, state FROM privacy_guard.retention_status WHERE table_name = 'orders'::regclass;

-- A table that others depend on waits for their storage duration, although the foreign key says CASCADE.
INSERT INTO orders SELECT i, i, timestamp '2020-01-01' + i * interval '1 day' FROM generate_series(1, 3) i;
INSERT INTO lines SELECT i, 'line' FROM generate_series(1, 3) i;
ALTER TABLE lines ADD COLUMN written date;
UPDATE lines SET written = CASE order_id WHEN 1 THEN '2020-01-01' WHEN 2 THEN 'infinity' END::date;
SELECT privacy_guard.retain('lines', '1 year', 'written', effective_from => now());
SELECT * FROM privacy_guard.run_retention();
SELECT order_id, written FROM lines ORDER BY order_id;
SELECT privacy_guard.unretain('lines');
SELECT * FROM privacy_guard.run_retention();

-- Anonymised: nobody's, and of no use to tell who it was. Dates BC, infinity and NULL.
SELECT privacy_guard.restrict_processing('4', 'accuracy contested', subject_category => 'erase_customer') IS NOT NULL AS restricted;
ALTER TABLE customers DROP CONSTRAINT customers_pkey;
ALTER TABLE customers ALTER COLUMN id DROP NOT NULL;
SELECT privacy_guard.retain('customers', '1 year', 'left_on', action => 'anonymise', effective_from => now(), masks =>
    '{"email": "partial", "joined": "year", "city": "redact", "born": "month", "income": "range:10000", "score": "range:500", "note": "null"}');
SELECT * FROM privacy_guard.run_retention('customers');
SELECT * FROM customers ORDER BY left_on, id;
SELECT backlog, kept, null_starts, rows_total, state FROM privacy_guard.retention_status WHERE table_name = 'customers'::regclass;
-- Once more changes nothing.
SELECT * FROM privacy_guard.run_retention('customers');
SELECT privacy_guard.lift_restriction('4', subject_category => 'erase_customer') IS NOT NULL AS lifted;
SELECT * FROM privacy_guard.run_retention('customers');
SELECT * FROM regress_erase.receipts OFFSET 2;

-- Masks that do not fit.
SELECT privacy_guard.retain('customers', '1 year', 'left_on', action => 'anonymise', masks => '{"email": "year"}');
SELECT privacy_guard.retain('customers', '1 year', 'left_on', action => 'anonymise', masks => '{"email": "pseudonym"}');
SELECT privacy_guard.retain('customers', '1 year', 'left_on', action => 'anonymise', masks => '{"email": "range:0"}');
SELECT privacy_guard.retain('customers', '1 year', 'left_on', action => 'anonymise', masks => '{"income": "prefix:3"}');
SELECT privacy_guard.retain('customers', '1 year', 'left_on', action => 'anonymise', masks => '{"email": "lower(email)"}');
SELECT privacy_guard.retain('customers', '1 year', 'left_on', action => 'anonymise', masks => '{"mail": "null"}');

-- All data subjects of a row must let go of it.
SELECT privacy_guard.restrict_processing('2', 'accuracy contested', subject_category => 'erase_customer') IS NOT NULL AS restricted;
SELECT privacy_guard.retain('visits', '1 year', 'came', effective_from => now());
SELECT * FROM privacy_guard.run_retention('visits');
SELECT customer, host FROM visits ORDER BY customer;
SELECT rows, subjects FROM regress_erase.receipts WHERE relation = 'regress_erase.visits';

-- A row that cannot be erased keeps no other. What a trigger says of it is kept nowhere.
CREATE FUNCTION regress_erase.keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.host = 42 THEN
        RAISE EXCEPTION 'host % stays, says %', OLD.host, current_user;
    END IF;
    -- Neither the eraser's privileges nor its exemption.
    BEGIN
        PERFORM FROM regress_erase.visits;
        RAISE WARNING 'the trigger reads';
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
    BEGIN
        PERFORM privacy_guard.retain('regress_erase.visits', '10 years', 'came');
        RAISE WARNING 'the trigger is a steward';
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
    RETURN NULL;
END $$;
CREATE TRIGGER keep AFTER DELETE ON visits FOR EACH ROW EXECUTE FUNCTION regress_erase.keep();
INSERT INTO visits SELECT 5, CASE i WHEN 7 THEN 42 ELSE 6 END, '2021-01-01' FROM generate_series(1, 20) i;
SELECT privacy_guard.end_break_glass();
SELECT * FROM privacy_guard.run_retention('visits');
SELECT privacy_guard.break_glass('looking at what is left', '1 hour') IS NOT NULL AS open;
SELECT customer, host FROM visits ORDER BY customer, host;
SELECT last_error, state FROM privacy_guard.retention_status WHERE table_name = 'visits'::regclass;

-- Nothing of others runs as superuser.
ALTER TABLE visits OWNER TO CURRENT_USER;
INSERT INTO visits VALUES (7, 8, '2021-01-01');
SELECT * FROM privacy_guard.run_retention('visits');
SELECT state FROM privacy_guard.retention_status WHERE table_name = 'visits'::regclass;
DROP TRIGGER keep ON visits;
SELECT * FROM privacy_guard.run_retention('visits');

-- Partitions that are past their time go as a whole; one with a row that must stay does not.
SET ROLE regress_erase_owner;
CREATE TABLE calls (customer bigint, day date, said text) PARTITION BY RANGE (day);
CREATE TABLE calls_2019 PARTITION OF calls FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE calls_2020 PARTITION OF calls FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE calls_2021 PARTITION OF calls FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE calls_now PARTITION OF calls DEFAULT;
RESET ROLE;
SELECT privacy_guard.protect('calls', 'customer', subject_category => 'erase_customer');
SELECT privacy_guard.permit('calls', 'erase_test');
INSERT INTO calls SELECT 1 + i % 3, date '2019-06-01' + i, 'hello' FROM generate_series(0, 1000) i;
INSERT INTO calls VALUES (9, '2021-12-31', 'hello'), (9, 'infinity', 'for ever');
SELECT privacy_guard.restrict_processing('9', 'accuracy contested', subject_category => 'erase_customer') IS NOT NULL AS restricted;
SELECT privacy_guard.lift_restriction('2', subject_category => 'erase_customer') IS NOT NULL AS lifted;
SELECT privacy_guard.retain('calls', '1 year', 'day', effective_from => now());
SELECT * FROM privacy_guard.run_retention('calls');
SELECT tableoid::regclass, * FROM calls;
SELECT relid FROM pg_partition_tree('calls') WHERE isleaf ORDER BY relid::text;
-- Detached, it stays guarded.
SET ROLE regress_erase_owner;
CREATE TABLE calls_2018 PARTITION OF calls FOR VALUES FROM ('2018-01-01') TO ('2019-01-01');
RESET ROLE;
SELECT privacy_guard.retain('calls', '1 year', 'day', partitions => 'detach', effective_from => now());
INSERT INTO calls_2018 VALUES (8, '2018-08-08', 'hello');
SELECT * FROM privacy_guard.run_retention('calls');
SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies,
       (SELECT array_agg(relation) FROM privacy_guard.guarded_child WHERE root = 'calls'::regclass) AS guarded
  FROM pg_class c WHERE oid = 'calls_2018'::regclass;
SELECT * FROM calls_2018;
SELECT rows, subjects, new FROM regress_erase.receipts
 WHERE relation = 'regress_erase.calls';

-- Monitored tables keep everything.
INSERT INTO visits VALUES (7, 8, '2021-01-01');
SELECT privacy_guard.set_mode('visits', 'monitor');
SELECT * FROM privacy_guard.run_retention('visits');
SELECT state FROM privacy_guard.retention_status WHERE table_name = 'visits'::regclass;

-- Not for everybody.
SET ROLE regress_erase_owner;
SELECT * FROM privacy_guard.run_retention();
SELECT * FROM privacy_guard.retention_status;
SELECT privacy_guard_internal.run_as_owner('customers', 'SELECT to_jsonb(count(*)) FROM customers', VARIADIC '{}');
RESET ROLE;
SELECT privacy_guard_internal.run_as_owner('customers', 'SELECT to_jsonb(count(*)) FROM customers', VARIADIC '{}');
SELECT privacy_guard_internal.erase_batch('customers', 'customers', 'x', 'DELETE FROM customers RETURNING left_on', '{}');

-- What is gone is told by receipts: table by table as many rows.
SELECT r.relation, sum(r.rows) = s.rows_total AS agrees FROM regress_erase.receipts r
  JOIN privacy_guard.retention_status s ON s.table_name::text = split_part(r.relation, '.', 2) GROUP BY r.relation, s.rows_total ORDER BY 1;

SELECT privacy_guard.end_break_glass();
SELECT privacy_guard.lift_restriction('9', subject_category => 'erase_customer') IS NOT NULL AS lifted;
SELECT privacy_guard.unprotect(t) FROM unnest('{calls,visits,lines,orders,customers}'::regclass[]) t;
SELECT privacy_guard.revoke_purpose('erase_test', current_user::regrole);
SELECT privacy_guard.revoke_collection('erase_test', current_user::regrole);
SELECT privacy_guard.drop_purpose('erase_test');
REVOKE privacy_guard_auditor, privacy_guard_break_glass FROM CURRENT_USER;
DROP SCHEMA regress_erase CASCADE;
DROP ROLE regress_erase_owner;
