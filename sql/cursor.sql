-- Cursors: a FETCH gives nothing that the session may have no more.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
CREATE ROLE regress_cu_app;
CREATE SCHEMA regress_cu;
SET search_path = regress_cu;
GRANT USAGE ON SCHEMA regress_cu TO regress_cu_app;
CREATE TABLE customer (id int PRIMARY KEY, name text);
CREATE TABLE plain (id int);
INSERT INTO customer SELECT i, 'c' || i FROM generate_series(1, 6) i;
INSERT INTO plain SELECT generate_series(1, 6);
GRANT SELECT ON customer, plain TO regress_cu_app;
SELECT privacy_guard.create_purpose(p, 'consent') FROM unnest(ARRAY['cu_mail', 'cu_post']) p;
SELECT privacy_guard.grant_purpose(p, 'regress_cu_app') FROM unnest(ARRAY['cu_mail', 'cu_post']) p;
SELECT privacy_guard.grant_collection(p, current_user::regrole) FROM unnest(ARRAY['cu_mail', 'cu_post']) p;
SELECT privacy_guard.protect('customer', subject_column => 'id', subject_category => 'cu_customer');
SELECT privacy_guard.permit('customer', p) FROM unnest(ARRAY['cu_mail', 'cu_post']) p;
SET client_min_messages = warning;
DO $$ BEGIN
    PERFORM privacy_guard.record_consent(i::text, p, subject_category => 'cu_customer')
       FROM generate_series(1, 5) i, unnest(ARRAY['cu_mail', 'cu_post']) p;
END $$;
CREATE FUNCTION names() RETURNS SETOF text LANGUAGE plpgsql STABLE AS
    $$ BEGIN RETURN QUERY SELECT name FROM regress_cu.customer ORDER BY id; END $$;

-- Another purpose.
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail'; SET LOCAL ROLE regress_cu_app;
DECLARE c CURSOR FOR SELECT * FROM customer ORDER BY id;
DECLARE f CURSOR FOR SELECT * FROM names();
DECLARE p CURSOR FOR SELECT * FROM plain ORDER BY id;
FETCH c;
FETCH f;
SAVEPOINT s;
SET LOCAL privacy_guard.purpose = 'cu_post';
FETCH c;
ROLLBACK TO s;
SET LOCAL privacy_guard.purpose = 'cu_post';
FETCH f;
ROLLBACK TO s;
FETCH c;
FETCH f;
SET LOCAL privacy_guard.purpose = 'cu_post';
FETCH p;
ROLLBACK;

-- Held over the transaction.
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail'; SET LOCAL ROLE regress_cu_app;
DECLARE h CURSOR WITH HOLD FOR SELECT * FROM customer ORDER BY id;
DECLARE s SCROLL CURSOR WITH HOLD FOR SELECT name FROM customer;
DECLARE f CURSOR WITH HOLD FOR SELECT * FROM names();
DECLARE p CURSOR WITH HOLD FOR SELECT * FROM plain;
COMMIT;
FETCH h;
MOVE h;
FETCH f;
FETCH p;
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_post'; SET LOCAL ROLE regress_cu_app;
FETCH s;
ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail';
FETCH h;
ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail'; SET LOCAL ROLE regress_cu_app;
FETCH h;
FETCH 2 s;
FETCH BACKWARD s;
FETCH f;
COMMIT;
-- Consent given meanwhile breaks nothing; a withdrawal does.
SET client_min_messages = warning;
DO $$ BEGIN PERFORM privacy_guard.record_consent('6', 'cu_mail', subject_category => 'cu_customer'); END $$;
DO $$ BEGIN PERFORM privacy_guard.record_consent('2', 'cu_mail', subject_category => 'cu_customer', status => 'renewed',
    event_time => clock_timestamp() - interval '1 day'); END $$;
RESET client_min_messages;
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail'; SET LOCAL ROLE regress_cu_app;
FETCH h;
COMMIT;
DO $$ BEGIN PERFORM privacy_guard.withdraw_consent('5', 'cu_mail', subject_category => 'cu_customer'); END $$;
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail'; SET LOCAL ROLE regress_cu_app;
FETCH h;
ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail'; SET LOCAL ROLE regress_cu_app;
FETCH f;
ROLLBACK;
CLOSE ALL;

-- Within one transaction: a sorted cursor has judged its rows before, a scan judges them at each FETCH.
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail';
SET LOCAL ROLE regress_cu_app;
DECLARE c CURSOR FOR SELECT * FROM customer ORDER BY name;
DECLARE d CURSOR FOR SELECT * FROM customer;
FETCH c;
FETCH d;
RESET ROLE;
SET LOCAL client_min_messages = warning;
DO $$ BEGIN PERFORM privacy_guard.withdraw_consent('3', 'cu_mail', subject_category => 'cu_customer'); END $$;
SET LOCAL ROLE regress_cu_app;
FETCH ALL d;
FETCH c;
ROLLBACK;
-- An entitlement or rule that went.
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail'; SET LOCAL ROLE regress_cu_app;
DECLARE h CURSOR WITH HOLD FOR SELECT * FROM customer ORDER BY id;
COMMIT;
SELECT privacy_guard.prohibit('customer', 'cu_mail');
BEGIN; SET LOCAL privacy_guard.purpose = 'cu_mail'; SET LOCAL ROLE regress_cu_app;
FETCH h;
ROLLBACK;
CLOSE ALL;
SELECT privacy_guard.drop_rule('customer', 'cu_mail');
SELECT privacy_guard.permit('customer', 'cu_mail');
-- A loop that commits holds its rows as well.
SET ROLE regress_cu_app;
DO $$ DECLARE r record; n int := 0; BEGIN
    SET LOCAL privacy_guard.purpose = 'cu_mail';
    FOR r IN SELECT * FROM regress_cu.customer ORDER BY id LOOP
        n := n + 1;
        COMMIT;
        BEGIN
            EXECUTE 'FETCH "' || (SELECT name FROM pg_cursors WHERE name LIKE '<unnamed%' LIMIT 1) || '"';
        EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE '%', SQLERRM;
        END;
        EXIT;
    END LOOP;
    RAISE NOTICE '% rows', n;
END $$;
RESET ROLE;

SELECT privacy_guard.unprotect('customer');
SELECT privacy_guard.revoke_collection(p, current_user::regrole), privacy_guard.revoke_purpose(p, 'regress_cu_app'),
       privacy_guard.drop_purpose(p) FROM unnest(ARRAY['cu_mail', 'cu_post']) p;
SET client_min_messages = warning;
DROP SCHEMA regress_cu CASCADE;
DROP ROLE regress_cu_app;
