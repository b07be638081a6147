-- Declaring a purpose that one is not entitled to, and keeping one that has ended.

-- ## SET
-- stock: leaks
-- guarded: refused 42501
SET :purpose = 'billing';
SELECT note FROM customer;
BEGIN; SET LOCAL :purpose = 'billing'; SELECT note FROM customer; COMMIT;

-- ## set_config
-- stock: leaks
-- guarded: refused 42501
BEGIN;
SELECT set_config(:'purpose', 'billing', true);
SELECT note FROM customer;
COMMIT;

-- ## options of the connection
-- stock: leaks
-- guarded: refused 42501
\setenv PGOPTIONS '-c app.purpose=billing -c privacy_guard.purpose=billing'
\! psql -XAtq -v VERBOSITY=verbose -c "SELECT note FROM customer" 2>&1

-- ## ALTER ROLE SET
-- stock: leaks
-- guarded: refused 42501
ALTER ROLE app SET :purpose = 'billing';
\c
SELECT note FROM customer;

-- ## the SET clause of a function
-- stock: leaks
-- guarded: refused 42501
SELECT format($f$CREATE FUNCTION evil() RETURNS SETOF text LANGUAGE sql SET %s = 'billing' AS 'SELECT note::text FROM customer'$f$, :'purpose') \gexec
SELECT evil();

-- ## a misspelt purpose, an empty one, none
-- stock: none (its policy simply finds no consent)
-- guarded: refused 42501
BEGIN; SET LOCAL privacy_guard.purpose = 'marketin'; SELECT note FROM customer; ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = ''; SELECT note FROM customer; ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'Marketing'; SELECT note FROM customer; ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'marketing.email'; SELECT note FROM customer; ROLLBACK;

-- ## set_config in the middle of a scan
-- stock: leaks
-- guarded: filtered
\c - clerk
SELECT note FROM customer WHERE set_config(:'purpose', 'billing', true) IS NOT NULL;

-- ## set_config in a sublink that runs first
-- stock: leaks
-- guarded: filtered
\c - clerk
WITH x AS MATERIALIZED (SELECT set_config(:'purpose', 'billing', true) AS p) SELECT note FROM x, customer WHERE p = 'billing';

-- ## a purpose of one's own transaction meets the next client of a pool
-- stock: leaks
-- guarded: filtered
\c - clerk
BEGIN; SET :purpose = 'billing'; COMMIT;
SELECT note FROM customer;

-- ## the same with set_config, and after an error
-- stock: leaks
-- guarded: filtered
\c - clerk
BEGIN; SELECT set_config(:'purpose', 'billing', false); SAVEPOINT a; SELECT 1 / 0; ROLLBACK TO a; COMMIT;
SELECT note FROM customer;

-- ## the same in a procedure that commits
-- stock: leaks
-- guarded: filtered
\c - clerk
CREATE PROCEDURE evil() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config(s, 'billing', false) FROM unnest('{app.purpose,privacy_guard.purpose}'::text[]) s;
    COMMIT;
    RAISE NOTICE '%', (SELECT string_agg(note, ', ') FROM customer);
END $$;
CALL evil();

-- ## PREPARE for one purpose, EXECUTE for another
-- stock: holds (its policy reads the setting for each row)
-- guarded: filtered
\c - clerk
PREPARE x AS SELECT replace(note, 'secret', 'billed') FROM customer WHERE id > $1;
PREPARE y AS SELECT note FROM customer WHERE id > $1;
BEGIN; SET LOCAL :purpose = 'billing';
\o /dev/null
EXECUTE y(0); EXECUTE y(0); EXECUTE y(0); EXECUTE y(0); EXECUTE y(0); EXECUTE y(0); EXECUTE y(0);
\o
COMMIT;
EXECUTE y(0);
SET plan_cache_mode = force_generic_plan;
EXECUTE y(0);

-- ## PL/pgSQL whose plan was made for another purpose, with a helper that claims to be immutable
-- stock: leaks
-- guarded: filtered
\c - clerk
\if :guarded
\else
\c - postgres
CREATE FUNCTION ops.purpose() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT current_setting('app.purpose', true) $$;
DROP POLICY purpose ON customer;
CREATE POLICY purpose ON customer USING (EXISTS (SELECT FROM ops.consent c WHERE c.customer = customer.id AND c.purpose = ops.purpose()));
\c - clerk
\endif
CREATE FUNCTION evil() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT string_agg(note, ', ') FROM customer); END $$;
BEGIN; SET LOCAL :purpose = 'billing';
\o /dev/null
SELECT evil() FROM generate_series(1, 7);
\o
COMMIT;
SELECT evil();

-- ## SET ROLE after PREPARE
-- stock: holds (plans depend on the role)
-- guarded: filtered
\c - super
GRANT app TO clerk;
PREPARE x AS SELECT note FROM customer;
\o /dev/null
EXECUTE x; EXECUTE x; EXECUTE x; EXECUTE x; EXECUTE x; EXECUTE x; EXECUTE x;
\o
SET ROLE app;
EXECUTE x;

-- ## SET ROLE to one who is not entitled, after the plan was made
-- stock: leaks
-- guarded: refused 42501
\c - postgres
GRANT app TO clerk;
\c - clerk
PREPARE x AS SELECT note FROM customer;
BEGIN; SET LOCAL :purpose = 'billing';
\o /dev/null
EXECUTE x;
\o
SET LOCAL ROLE app;
EXECUTE x;
COMMIT;

-- ## FETCH after a change of purpose
-- stock: holds (its policy reads the setting for each row)
-- guarded: refused 42501
\c - clerk
BEGIN;
SET LOCAL :purpose = 'billing';
DECLARE c CURSOR FOR SELECT note FROM customer ORDER BY id;
SET LOCAL :purpose = 'marketing';
FETCH ALL FROM c;
COMMIT;

-- ## FETCH after a change of purpose, rows already sorted
-- stock: leaks
-- guarded: refused 42501
\c - clerk
BEGIN;
SET LOCAL :purpose = 'billing';
DECLARE c SCROLL CURSOR FOR SELECT note FROM customer ORDER BY note DESC;
\o /dev/null
FETCH ALL FROM c;
\o
SET LOCAL :purpose = 'marketing';
FETCH BACKWARD ALL FROM c;
COMMIT;

-- ## a WITH HOLD cursor outlives its purpose
-- stock: leaks
-- guarded: refused 42501
\c - clerk
BEGIN;
SET LOCAL :purpose = 'billing';
DECLARE c CURSOR WITH HOLD FOR SELECT note FROM customer ORDER BY id;
COMMIT;
FETCH ALL FROM c;

-- ## ROLLBACK TO SAVEPOINT brings back a purpose, for a cursor opened for another
-- stock: holds (its policy reads the setting for each row)
-- guarded: refused 42501
\c - clerk
BEGIN;
SAVEPOINT a;
SET LOCAL :purpose = 'billing';
SAVEPOINT b;
DECLARE c CURSOR FOR SELECT note FROM customer ORDER BY id;
RELEASE b;
SET LOCAL :purpose = 'marketing';
FETCH ALL FROM c;
ROLLBACK TO a;
SELECT note FROM customer;
COMMIT;

-- ## a cursor handed over by a definer function, after the entitlement has gone
-- stock: none (no entitlement)
-- guarded: refused 42501
\c - clerk
BEGIN;
SET LOCAL privacy_guard.purpose = 'billing';
SELECT count(*) FROM customer;
\! psql -XAtq -U steward -c "SELECT privacy_guard.revoke_purpose('billing', 'clerk')"
SELECT note FROM customer;
COMMIT;

-- ## a rule is withdrawn between two executions of a plan
-- stock: none (no rules)
-- guarded: refused 42501
\c - clerk
BEGIN;
SET LOCAL privacy_guard.purpose = 'billing';
PREPARE x AS SELECT count(*) FROM customer;
EXECUTE x; EXECUTE x; EXECUTE x; EXECUTE x; EXECUTE x; EXECUTE x;
\! psql -XAtq -U steward -c "SELECT privacy_guard.prohibit('customer', 'billing')"
EXECUTE x;
COMMIT;
