-- protect() and unprotect(): what they put on a table, what they refuse, and that nothing stays.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;

CREATE ROLE regress_protect_owner;
CREATE SCHEMA regress_protect;
GRANT ALL ON SCHEMA regress_protect TO regress_protect_owner;
SET search_path = regress_protect;
SET ROLE regress_protect_owner;
CREATE TABLE customers (id bigint PRIMARY KEY, name text, note varchar, price numeric);
CREATE TABLE orders (id uuid PRIMARY KEY, customer_id bigint REFERENCES customers, other text, self uuid REFERENCES orders);
CREATE TABLE own_rules (id bigint);
ALTER TABLE own_rules ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON own_rules USING (id < 100);
CREATE TABLE rewritten (id bigint);
CREATE RULE no_delete AS ON DELETE TO rewritten DO INSTEAD NOTHING;
CREATE VIEW a_view AS SELECT * FROM customers;
CREATE TEMP TABLE a_temp (id bigint);
CREATE TABLE parent (id bigint, at date) PARTITION BY RANGE (at);
CREATE TABLE child PARTITION OF parent FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE grown (id bigint);
CREATE TABLE grown_child () INHERITS (grown);
RESET ROLE;

-- What cannot be guarded, each with its reason and a hint.
\set SHOW_CONTEXT never
DO $$
DECLARE
    call text;
    state text;
    message text;
    hint text;
BEGIN
    FOREACH call IN ARRAY ARRAY[
        $q$privacy_guard.protect(NULL, 'id')$q$,
        $q$privacy_guard.protect('customers')$q$,
        $q$privacy_guard.protect('customers', 'id', ARRAY['id']::name[])$q$,
        $q$privacy_guard.protect('customers', subject_columns => '{}')$q$,
        $q$privacy_guard.protect('customers', subject_columns => ARRAY[NULL]::name[])$q$,
        $q$privacy_guard.protect('customers', subject_columns => '{id,id,id,id,id,id,id,id,id}')$q$,
        $q$privacy_guard.protect('customers', 'nothing')$q$,
        $q$privacy_guard.protect('customers', 'price')$q$,
        $q$privacy_guard.protect('customers', 'tableoid')$q$,
        $q$privacy_guard.protect('customers', subject_columns => '{id,name}')$q$,
        $q$privacy_guard.protect('customers', 'id', subject_category => NULL)$q$,
        $q$privacy_guard.protect('customers', 'id', subject_category => 'No Label')$q$,
        $q$privacy_guard.protect('customers', 'id', consent_column => 'name')$q$,
        $q$privacy_guard.protect('customers', 'id', audit_level => 'all')$q$,
        $q$privacy_guard.protect('customers', 'id', mode => 'off')$q$,
        $q$privacy_guard.protect('customers', 'id', null_subject => NULL)$q$,
        $q$privacy_guard.protect('orders', subject_via => 'other')$q$,
        $q$privacy_guard.protect('orders', subject_via => 'nothing')$q$,
        $q$privacy_guard.protect('orders', subject_via => 'customer_id')$q$,
        $q$privacy_guard.protect('orders', subject_via => 'self')$q$,
        $q$privacy_guard.protect('a_view', 'id')$q$,
        $q$privacy_guard.protect('a_temp', 'id')$q$,
        $q$privacy_guard.protect('pg_class', 'relname')$q$,
        $q$privacy_guard.protect('privacy_guard.purpose', 'path')$q$,
        $q$privacy_guard.protect('rewritten', 'id')$q$,
        $q$privacy_guard.protect(1::regclass, 'id')$q$,
        $q$privacy_guard.unprotect('customers')$q$,
        $q$privacy_guard.unprotect(NULL)$q$,
        $q$privacy_guard.permit('customers', 'regress_protect')$q$,
        $q$privacy_guard.set_mode('customers', 'monitor')$q$]
    LOOP
        BEGIN
            EXECUTE 'SELECT ' || call;
            RAISE EXCEPTION 'accepted: %', call USING ERRCODE = 'ZZZZZ';
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
            RAISE NOTICE USING MESSAGE = format(E'%s\n  %s: %s\n  %s', call, state, message,
                                                coalesce(nullif(hint, ''), 'NO HINT'));
        END;
    END LOOP;
END $$;
SELECT count(*) AS guarded FROM privacy_guard.guarded_table;
SELECT count(*) AS categories FROM privacy_guard.subject_category WHERE name = 'regress_protect';

-- A second protect, a child of a guarded table, a parent of one.
SELECT privacy_guard.protect('child', 'id', subject_category => 'regress_protect');
SELECT privacy_guard.protect('child', 'id', subject_category => 'regress_protect');
SELECT privacy_guard.protect('parent', 'id', subject_category => 'regress_protect');
SELECT privacy_guard.unprotect('child');
SELECT privacy_guard.protect('parent', 'id', subject_category => 'regress_protect');
SELECT privacy_guard.protect('child', 'id', subject_category => 'regress_protect');
SELECT privacy_guard.protect('grown', 'id', subject_category => 'regress_protect');
SELECT privacy_guard.protect('own_rules', 'id', subject_category => 'regress_protect');

-- Keys of another type under the same category.
SELECT privacy_guard.protect('orders', 'id', subject_category => 'regress_protect');

-- What is stored on the tables.
CREATE VIEW regress_protect.armed AS
SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
       (SELECT string_agg(p.polname || CASE WHEN p.polpermissive THEN '' ELSE ' (restrictive)' END, ', ' ORDER BY p.polname)
          FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
       (SELECT string_agg(t.tgname || ' ' || t.tgenabled::text, ', ' ORDER BY t.tgname)
          FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS triggers
  FROM pg_class c
 WHERE c.relnamespace = 'regress_protect'::regnamespace AND c.relkind IN ('r', 'p')
 ORDER BY c.relname;
SELECT * FROM armed;

-- A way through a foreign key needs its target to stay guarded.
SELECT privacy_guard.protect('customers', 'id', subject_category => 'regress_protect');
SELECT privacy_guard.protect('orders', subject_via => 'customer_id');
SELECT privacy_guard.unprotect('customers');
SELECT privacy_guard.unprotect('orders');

-- unprotect() restores what was there.
SELECT privacy_guard.unprotect(relation) FROM privacy_guard.guarded_table
 WHERE relation::text IN ('customers', 'parent', 'grown', 'own_rules') ORDER BY relation::text;
SELECT * FROM armed;
SELECT count(*) AS left_behind FROM privacy_guard.guarded_child WHERE relation::text IN ('child', 'grown_child');

RESET search_path;
SELECT privacy_guard.drop_subject_category('regress_protect');
SET client_min_messages = warning;
DROP TABLE pg_temp.a_temp;
DROP SCHEMA regress_protect CASCADE;
DROP ROLE regress_protect_owner;
