-- Commands on guarded tables: what a migration needs, and what would lead around the guard.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
CREATE ROLE regress_ud_owner;
CREATE ROLE regress_ud_super SUPERUSER;
CREATE SCHEMA regress_ud AUTHORIZATION regress_ud_owner;
SET search_path = regress_ud;
SET ROLE regress_ud_owner;
CREATE DOMAIN short AS text;
CREATE TABLE customer (id int PRIMARY KEY, name text, label short, country text);
CREATE TABLE invoice (id int PRIMARY KEY, customer_id int REFERENCES customer, total numeric);
CREATE TABLE visit (id int, customer_id int, at date) PARTITION BY RANGE (at);
CREATE TABLE visit_2025 PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE plain (id int PRIMARY KEY, customer_id int);
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
CREATE FUNCTION leak_trigger() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'saw %', NEW; RETURN NEW; END $$;
INSERT INTO customer VALUES (1, 'ann', 'a'), (2, 'bob', 'b');
INSERT INTO invoice VALUES (1, 1, 10), (2, 2, 20);
INSERT INTO plain VALUES (1, 1), (2, 2);
RESET ROLE;
SELECT privacy_guard.create_purpose('ud_mail', 'consent');
SELECT privacy_guard.protect('customer', subject_column => 'id', subject_category => 'ud_customer');
SELECT privacy_guard.protect('invoice', subject_via => 'customer_id');
SELECT privacy_guard.protect('visit', subject_column => 'customer_id', subject_category => 'ud_customer');

-- Runs each statement as a role and says what came of it.
CREATE FUNCTION public.regress_try(who regrole, VARIADIC statements text[]) RETURNS TABLE (statement text, outcome text)
    LANGUAGE plpgsql AS $$
DECLARE
    message text;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        BEGIN
            EXECUTE format('SET LOCAL ROLE %s', who);
            EXECUTE statement;
            outcome := 'ok';
            RAISE EXCEPTION USING ERRCODE = 'YYYYY';
        EXCEPTION
            WHEN SQLSTATE 'YYYYY' THEN NULL;
            WHEN OTHERS THEN outcome := SQLSTATE || ' ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
\x on
SET client_min_messages = warning;
\pset tuples_only on
-- A migration of the owner.
SELECT * FROM public.regress_try('regress_ud_owner',
    'ALTER TABLE customer ADD COLUMN extra text DEFAULT ''x'' NOT NULL, ADD COLUMN u uuid DEFAULT gen_random_uuid()',
    'ALTER TABLE customer ADD COLUMN big text GENERATED ALWAYS AS (upper(name)) STORED',
    'ALTER TABLE customer ADD CHECK (length(name) < 100), ALTER COLUMN name SET NOT NULL',
    'ALTER TABLE customer ALTER COLUMN country TYPE varchar(20), ALTER COLUMN country SET DEFAULT ''DE'', ALTER COLUMN country SET STATISTICS 5',
    'ALTER TABLE customer DROP COLUMN country',
    'ALTER TABLE customer RENAME COLUMN country TO land',
    'ALTER TABLE customer RENAME TO client',
    'ALTER TABLE customer SET (fillfactor = 80)',
    'ALTER TABLE customer ALTER id SET DEFAULT 0, REPLICA IDENTITY FULL',
    'CREATE INDEX ON customer (name); CREATE INDEX ON customer (lower(name)) WHERE country = ''DE''',
    'CREATE STATISTICS s ON lower(name), country FROM customer',
    'CREATE VIEW v AS SELECT * FROM customer',
    'CREATE TABLE copy (LIKE customer INCLUDING ALL)',
    'COMMENT ON TABLE customer IS ''c''; GRANT SELECT ON customer TO PUBLIC; LOCK TABLE customer',
    'ANALYZE customer; REINDEX TABLE customer',
    'ALTER TABLE invoice DROP CONSTRAINT invoice_pkey');
-- Switches, code on rows, ways out: refused to the owner.
SELECT * FROM public.regress_try('regress_ud_owner',
    'ALTER TABLE customer DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE customer NO FORCE ROW LEVEL SECURITY',
    'ALTER TABLE customer DISABLE TRIGGER ALL',
    'ALTER TABLE customer DISABLE TRIGGER privacy_guard_check',
    'ALTER TABLE customer ENABLE REPLICA TRIGGER privacy_guard_check',
    'DO $d$ BEGIN EXECUTE ''ALTER TABLE regress_ud.customer DISABLE ROW LEVEL SECURITY''; END $d$',
    'CREATE POLICY p ON customer USING (true)',
    'ALTER POLICY privacy_guard ON customer USING (true)',
    'ALTER POLICY privacy_guard ON customer RENAME TO x',
    'DROP POLICY privacy_guard ON customer',
    'DROP TRIGGER privacy_guard_check ON customer',
    'ALTER TRIGGER privacy_guard_check ON customer RENAME TO x',
    'CREATE TRIGGER t BEFORE INSERT ON customer FOR EACH ROW EXECUTE FUNCTION leak_trigger()',
    'CREATE RULE r AS ON INSERT TO customer DO ALSO NOTIFY x',
    'CREATE INDEX ON customer (leak(name))',
    'CREATE INDEX ON customer (id) WHERE leak(name)',
    'CREATE STATISTICS s ON leak(name), country FROM customer',
    'ALTER TABLE customer ADD CHECK (leak(name))',
    'ALTER TABLE customer ADD CHECK (leak(name)) NOT VALID',
    'ALTER TABLE visit ADD CHECK (leak(id::text))',
    'ALTER TABLE customer ADD COLUMN g boolean GENERATED ALWAYS AS (leak(name)) STORED',
    'ALTER TABLE customer ALTER COLUMN name TYPE boolean USING leak(name)',
    'ALTER TABLE customer ADD CHECK (query_to_xml(''select 1'' || name, true, true, '''') IS NOT NULL)',
    'ALTER DOMAIN short ADD CHECK (leak(VALUE))',
    'ALTER TABLE customer DROP COLUMN id CASCADE',
    'ALTER TABLE customer ALTER COLUMN id TYPE bigint',
    'ALTER TABLE customer RENAME COLUMN id TO i',
    'ALTER TABLE visit RENAME COLUMN customer_id TO i',
    'ALTER TABLE invoice DROP COLUMN customer_id',
    'ALTER TABLE invoice DROP CONSTRAINT invoice_customer_id_fkey',
    'ALTER TABLE customer DROP CONSTRAINT customer_pkey CASCADE',
    'ALTER TABLE visit DETACH PARTITION visit_2025',
    'ALTER TABLE visit_2025 DISABLE ROW LEVEL SECURITY',
    'DROP TABLE visit_2025', 'DROP TABLE customer CASCADE', 'DROP SCHEMA regress_ud CASCADE', 'DROP OWNED BY regress_ud_owner',
    'TRUNCATE visit', 'TRUNCATE visit_2025', 'TRUNCATE customer CASCADE',
    'CREATE FOREIGN TABLE f (id int, customer_id int, at date) INHERITS (visit) SERVER s',
    'CREATE TEMP TABLE t () INHERITS (customer)',
    'CREATE TABLE above (id int, name text, label short, country text); ALTER TABLE customer INHERIT above');
-- And to a superuser who keeps no rules.
SELECT * FROM public.regress_try('regress_ud_super',
    'ALTER TABLE customer DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE customer OWNER TO regress_ud_super',
    'REASSIGN OWNED BY regress_ud_owner TO regress_ud_super',
    'CREATE PUBLICATION p FOR TABLE customer', 'CREATE PUBLICATION p FOR ALL TABLES',
    'CREATE PUBLICATION p FOR TABLES IN SCHEMA regress_ud', 'CREATE PUBLICATION p FOR TABLE visit_2025',
    'CREATE PUBLICATION p FOR TABLE plain',
    'SET LOCAL allow_system_table_mods = on; DELETE FROM pg_extension WHERE extname = ''privacy_guard''',
    'COPY pg_am FROM ''/dev/null''',
    'DROP EXTENSION privacy_guard CASCADE',
    'ALTER EXTENSION privacy_guard DROP FUNCTION privacy_guard_internal.check_new_row()',
    'ALTER EXTENSION privacy_guard ADD TABLE plain',
    'ALTER EXTENSION privacy_guard UPDATE',
    'DROP SCHEMA privacy_guard_internal CASCADE', 'ALTER SCHEMA privacy_guard RENAME TO x',
    'CREATE FUNCTION privacy_guard_internal.guard(int) RETURNS boolean LANGUAGE sql RETURN true',
    'CREATE OR REPLACE FUNCTION privacy_guard_internal.check_new_row() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NULL; END $f$',
    'ALTER FUNCTION privacy_guard_internal.check_new_row() OWNER TO regress_ud_super',
    'ALTER FUNCTION leak(text) SET SCHEMA privacy_guard_internal',
    'ALTER FUNCTION privacy_guard.withdraw_consent SET SCHEMA public', 'ALTER TABLE privacy_guard.rule SET SCHEMA public',
    'ALTER TYPE privacy_guard.consent SET SCHEMA public', 'ALTER VIEW privacy_guard.purposes SET SCHEMA public',
    'LOCK TABLE privacy_guard.rule', 'LOCK TABLE invoice, privacy_guard.rule IN ROW SHARE MODE', 'LOCK TABLE privacy_guard.rule IN ACCESS SHARE MODE',
    'CREATE TABLE privacy_guard.t (i int)', 'CREATE VIEW privacy_guard_internal.v AS SELECT 1',
    'ALTER TABLE privacy_guard.rule ADD COLUMN x int', 'DROP TABLE privacy_guard.rule CASCADE', 'TRUNCATE privacy_guard.rule',
    'CREATE TRIGGER t BEFORE INSERT ON privacy_guard.rule FOR EACH ROW EXECUTE FUNCTION leak_trigger()',
    'CREATE INDEX ON privacy_guard.rule (effect)',
    'DROP TRIGGER policy_changed ON privacy_guard.rule',
    'GRANT INSERT ON privacy_guard.rule TO PUBLIC', 'GRANT ALL ON ALL TABLES IN SCHEMA privacy_guard TO PUBLIC',
    'GRANT EXECUTE ON FUNCTION privacy_guard_internal.forget_role(oid) TO PUBLIC',
    'GRANT CREATE ON SCHEMA privacy_guard_internal TO PUBLIC');
-- The steward may, except for the guard itself.
SELECT * FROM public.regress_try(current_user::regrole,
    'ALTER TABLE customer DISABLE ROW LEVEL SECURITY',
    'ALTER POLICY privacy_guard ON customer RENAME TO x', 'DROP POLICY privacy_guard ON customer', 'DROP TRIGGER privacy_guard_check ON customer',
    'ALTER TABLE customer ALTER COLUMN id TYPE bigint', 'ALTER TABLE customer DROP COLUMN id CASCADE',
    'ALTER TABLE invoice ALTER COLUMN id TYPE bigint', 'TRUNCATE privacy_guard.rule CASCADE',
    'CREATE TRIGGER t BEFORE INSERT ON customer FOR EACH ROW EXECUTE FUNCTION leak_trigger(); DROP TRIGGER t ON customer',
    'CREATE POLICY p ON customer USING (true); DROP POLICY p ON customer',
    'ALTER TABLE customer OWNER TO regress_ud_super', 'TRUNCATE visit',
    'ALTER TABLE visit DETACH PARTITION visit_2025',
    'CREATE PUBLICATION p FOR TABLE customer',
    'DROP EXTENSION privacy_guard CASCADE');
\pset tuples_only off
\x off
RESET client_min_messages;

-- New partitions and children are guarded when they appear.
SET ROLE regress_ud_owner;
CREATE TABLE visit_2026 PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE visit_2027 (id int, customer_id int, at date);
INSERT INTO visit_2027 VALUES (7, 7, '2027-01-01');
ALTER TABLE visit ATTACH PARTITION visit_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE TABLE vip () INHERITS (customer);
CREATE TABLE old (LIKE customer);
ALTER TABLE old INHERIT customer;
CREATE TABLE trap (id int, customer_id int, at date);
CREATE TRIGGER t BEFORE INSERT ON trap FOR EACH ROW EXECUTE FUNCTION leak_trigger();
ALTER TABLE visit ATTACH PARTITION trap DEFAULT;
RESET ROLE;
SELECT relation, root FROM privacy_guard.guarded_child ORDER BY relation::text;
SELECT relname, relrowsecurity, relforcerowsecurity,
       (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies,
       (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'privacy_guard_check' AND tgenabled = 'A') AS triggers
  FROM pg_class c WHERE relnamespace = 'regress_ud'::regnamespace AND relname IN ('visit_2026', 'visit_2027', 'vip', 'old')
 ORDER BY relname;
SELECT * FROM visit_2027;

-- The steward may take one out; then it is as it was.
ALTER TABLE visit DETACH PARTITION visit_2027;
ALTER TABLE vip NO INHERIT customer;
SELECT relation, root FROM privacy_guard.guarded_child ORDER BY relation::text;
SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies,
       (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'privacy_guard_check') AS triggers
  FROM pg_class c WHERE oid IN ('visit_2027'::regclass, 'vip'::regclass);
SELECT * FROM visit_2027;

-- A foreign key is checked over every row, and its error shows no key.
SET ROLE regress_ud_owner;
ALTER TABLE plain ADD CONSTRAINT to_customer FOREIGN KEY (customer_id) REFERENCES customer;
ALTER TABLE plain DROP CONSTRAINT to_customer;
INSERT INTO plain VALUES (3, 33);
ALTER TABLE plain ADD CONSTRAINT to_customer FOREIGN KEY (customer_id) REFERENCES customer;
ALTER TABLE plain ADD CONSTRAINT to_customer FOREIGN KEY (customer_id) REFERENCES customer NOT VALID;
ALTER TABLE plain VALIDATE CONSTRAINT to_customer;
ALTER TABLE plain DROP CONSTRAINT to_customer;
ALTER TABLE invoice ADD CONSTRAINT to_plain FOREIGN KEY (id) REFERENCES plain;
ALTER TABLE invoice DROP CONSTRAINT to_plain;
DELETE FROM plain WHERE id = 2;
ALTER TABLE invoice ADD CONSTRAINT to_plain FOREIGN KEY (id) REFERENCES plain;
-- Nobody's function slips a query of its own into that check.
CREATE FUNCTION peek() RETURNS text LANGUAGE plpgsql AS
    $$ DECLARE r record; BEGIN FOR r IN SELECT name FROM customer LOOP RAISE NOTICE 'saw %', r.name; END LOOP; RETURN ''; END $$;
ALTER TABLE plain ADD COLUMN p text DEFAULT peek(), ADD COLUMN c int REFERENCES customer;
ALTER TABLE plain ADD COLUMN p text DEFAULT table_to_xml('customer', true, true, '')::text, ADD COLUMN c int REFERENCES customer;
RESET ROLE;

-- Dropped by the steward, a table takes its rules along.
SELECT privacy_guard.permit('visit', 'ud_mail');
DROP TABLE visit;
SELECT count(*) FROM privacy_guard.guarded_table WHERE relation::text LIKE '%visit%';
SELECT count(*) FROM privacy_guard.guarded_child WHERE relation::text LIKE '%visit%';

SELECT privacy_guard.unprotect('invoice'), privacy_guard.unprotect('customer'), privacy_guard.drop_purpose('ud_mail');
SET client_min_messages = warning;
DROP SCHEMA regress_ud CASCADE;
DROP FUNCTION public.regress_try;
DROP ROLE regress_ud_owner, regress_ud_super;
