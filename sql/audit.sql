-- What is on record: whose rows left the scans, for every kind of statement, and how it ended.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
CREATE ROLE regress_audit_app;
GRANT privacy_guard_auditor TO CURRENT_USER;
CREATE SCHEMA regress_audit;
GRANT ALL ON SCHEMA regress_audit TO PUBLIC;
SET search_path = regress_audit;
CREATE TABLE person (id bigint PRIMARY KEY, name text, city text);
CREATE TABLE letter (id bigint PRIMARY KEY, person_id bigint REFERENCES person ON DELETE CASCADE, body text);
CREATE TABLE meeting (host bigint, guest bigint, place text);
CREATE TABLE device (owner uuid, name text);
CREATE TABLE plain (id bigint, name text);
INSERT INTO person SELECT i, 'p' || i, CASE WHEN i % 2 = 0 THEN 'Rome' ELSE 'Oslo' END FROM generate_series(1, 10) i;
INSERT INTO letter SELECT i, 1 + i % 10, 'b' || i FROM generate_series(1, 30) i;
INSERT INTO meeting VALUES (1, 2, 'x'), (3, 4, 'y'), (5, 5, 'z');
INSERT INTO device SELECT ('00000000-0000-4000-8000-00000000000' || i)::uuid, 'd' || i FROM generate_series(1, 3) i;
GRANT ALL ON person, letter, meeting, device, plain TO regress_audit_app;
SELECT privacy_guard.create_purpose('audited', 'contract');
SELECT privacy_guard.create_purpose('audited.news', 'consent');
SELECT privacy_guard.create_purpose('audited.report', 'contract', export => true);
SELECT privacy_guard.grant_purpose('audited', 'regress_audit_app');
SELECT privacy_guard.grant_collection('audited', CURRENT_USER::regrole);
SELECT privacy_guard.protect('person', 'id', subject_category => 'regress_audit_person');
SELECT privacy_guard.protect('letter', subject_via => 'person_id');
SELECT privacy_guard.protect('meeting', subject_columns => '{host,guest}', subject_category => 'regress_audit_person');
SELECT privacy_guard.protect('device', 'owner', subject_category => 'regress_audit_holder');
SELECT privacy_guard.permit(t, p) FROM unnest('{person,letter,meeting,device}'::regclass[]) t,
                                       unnest('{audited,audited.news,audited.report}'::text[]) p;
-- Half of the people have decided something and so have a number; the others get one from the audit writer.
SELECT count(privacy_guard.record_consent(i::text, 'audited.news', subject_category => 'regress_audit_person'))
  FROM generate_series(1, 10, 2) i;

-- Numbers depend on who was seen first, so keys are shown in their place; and only what came since last time.
CREATE FUNCTION keys(subjects privacy_guard.subject_set) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(right(s.key, 2), ' ' ORDER BY length(s.key), s.key) FROM privacy_guard.subject_state s
     WHERE subjects OPERATOR(privacy_guard.@>) s.subject $$;
CREATE TEMPORARY TABLE shown (leaf bigint);
INSERT INTO shown SELECT max(leaf_index) FROM privacy_guard.audit_log;
CREATE FUNCTION news() RETURNS TABLE (operation text, relation text, columns text[], rows bigint, outcome text, keys text)
    LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    CREATE TEMPORARY TABLE recent ON COMMIT DROP AS
        SELECT * FROM privacy_guard.audit_records() WHERE leaf_index > (SELECT max(leaf) FROM shown);
    INSERT INTO shown SELECT max(leaf_index) FROM recent;
    RETURN QUERY SELECT r.operation, r.relation, r.columns, r.rows, r.outcome, keys(r.subjects) FROM recent r
                  WHERE r.kind = 'access' AND r.relation LIKE 'regress_audit.%' ORDER BY leaf_index;
END $$;
SET max_parallel_workers_per_gather = 0;

\echo What leaves the scan, not what the scan looks at, nor what reaches the client
SET ROLE regress_audit_app;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
SELECT name FROM person WHERE id = 3;
SELECT count(*) FROM person;
SELECT EXISTS (SELECT FROM person WHERE city = 'Rome');
SELECT name FROM person WHERE city = 'Oslo' ORDER BY id LIMIT 1;
SELECT p.name FROM person p JOIN letter l ON l.person_id = p.id WHERE l.id = 4;
SELECT place FROM meeting WHERE place IN ('x', 'z') ORDER BY place;
SELECT name FROM device WHERE name = 'd2';
SELECT name FROM person WHERE id = 99;
COMMIT;
RESET ROLE;
SELECT * FROM news();

\echo Consent hides: who is withheld is not a subject of the record, only counted
SET ROLE regress_audit_app;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited.news';
SELECT count(*) FROM person WHERE id < 5;
COMMIT;
RESET ROLE;
SELECT operation, rows, withheld, keys(subjects), outcome, statement FROM privacy_guard.audit_records(last_records => 3)
 WHERE kind = 'access';
SELECT count(*) FROM news();

\echo Rows that are written
SET ROLE regress_audit_app;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
INSERT INTO person VALUES (11, 'p11', 'Rome'), (12, 'p12', 'Oslo');
UPDATE person SET city = 'Bonn' WHERE id IN (1, 11);
DELETE FROM person WHERE id = 12;
INSERT INTO person VALUES (2, 'again', 'Rome') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
MERGE INTO person p USING (VALUES (4, 'm4'), (13, 'm13')) v (id, name) ON p.id = v.id
    WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name, 'Kiel');
WITH gone AS (DELETE FROM letter WHERE id = 7 RETURNING person_id) SELECT count(*) FROM gone;
INSERT INTO letter SELECT 100 + id, id, 'copy' FROM person WHERE id = 5;
COPY person FROM stdin;
14	p14	Oslo
\.
COMMIT;
RESET ROLE;
SELECT * FROM news();

\echo How it ended
SET ROLE regress_audit_app;
SET privacy_guard.on_no_purpose = error;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
SELECT name FROM person WHERE id = 1;
ROLLBACK;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
SAVEPOINT s;
SELECT name FROM person WHERE id = 2;
ROLLBACK TO s;
SELECT name FROM person WHERE id = 3;
COMMIT;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
SELECT name FROM person WHERE id <= 4 AND 1 / (id - 4) < 5;
ROLLBACK;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
DECLARE c CURSOR FOR SELECT name FROM person WHERE id BETWEEN 5 AND 9;
FETCH 2 FROM c;
ROLLBACK;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
DECLARE c CURSOR FOR SELECT name FROM person WHERE id BETWEEN 5 AND 9;
FETCH 1 FROM c;
CLOSE c;
DECLARE d CURSOR FOR SELECT name FROM person;
COMMIT;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
COPY (SELECT name, 1 / (id - 3) FROM person WHERE id < 6 ORDER BY id) TO stdout;
ROLLBACK;
DO $$
BEGIN
    PERFORM set_config('privacy_guard.purpose', 'audited', true);
    BEGIN
        PERFORM name FROM regress_audit.person WHERE id = 8;
        RAISE EXCEPTION 'never mind';
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
    PERFORM name FROM regress_audit.person WHERE id = 9;
END $$;
RESET ROLE;
SELECT operation, relation, rows, outcome, keys FROM news();

\echo A subject that goes with the transaction is on record all the same
BEGIN;
SELECT privacy_guard.record_consent('21', 'audited.news', subject_category => 'regress_audit_person') IS NOT NULL AS given;
SET LOCAL ROLE regress_audit_app;
SET LOCAL privacy_guard.purpose = 'audited';
INSERT INTO person VALUES (21, 'p21', 'Riga');
ROLLBACK;
SELECT operation, rows, outcome
  FROM privacy_guard.accesses_to('21', subject_category => 'regress_audit_person');
SELECT count(*) FROM news();

\echo Functions, triggers, nested statements
CREATE FUNCTION peek(who bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT name FROM regress_audit.person WHERE id = who);
END $$;
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM name FROM regress_audit.person WHERE id = NEW.id;
    RETURN NEW;
END $$;
CREATE TRIGGER look AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION look();
SET ROLE regress_audit_app;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
SELECT peek(2), peek(6);
INSERT INTO plain VALUES (5, 'x');
PREPARE q(bigint) AS SELECT name FROM person WHERE id = $1;
EXECUTE q(1); EXECUTE q(2); EXECUTE q(3); EXECUTE q(4); EXECUTE q(5); EXECUTE q(6); EXECUTE q(7);
COMMIT;
RESET ROLE;
SELECT operation, rows, outcome, keys FROM news();

\echo Export
SET ROLE regress_audit_app;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited.report';
INSERT INTO plain SELECT id, name FROM person WHERE id IN (20, 6);
CREATE TABLE copied AS SELECT name FROM person WHERE id = 7;
COMMIT;
RESET ROLE;
SELECT operation, rows, outcome, keys FROM news() WHERE rows > 0;

\echo Many statements in a transaction that fails: some were said before it was known
SET ROLE regress_audit_app;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
DO $$ BEGIN FOR i IN 1..200 LOOP PERFORM name FROM regress_audit.person WHERE id = 1 + i % 10; END LOOP; END $$;
ROLLBACK;
RESET ROLE;
SELECT outcome, count(*), sum(rows) FROM news() GROUP BY outcome;

\echo Denials: each is on record, equal ones of a transaction with their count
SET ROLE regress_audit_app;
SELECT name FROM person;
DO $$
BEGIN
    FOR i IN 1..100 LOOP
        BEGIN
            PERFORM name FROM regress_audit.person;
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END LOOP;
END $$;
RESET ROLE;
DELETE FROM privacy_guard.rule;
UPDATE privacy_guard.audit_statement SET text = '';
SELECT privacy_guard_internal.audit_event('access', 'Access');
SELECT kind, role, relation, reason, sum(coalesce(count, 1)) AS refusals
  FROM privacy_guard.audit_records(last_records => 20)
 WHERE kind IN ('denial', 'tamper') AND leaf_index > (SELECT max(leaf) FROM shown)
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

\echo Who has seen a person, and that somebody asked
SELECT session_role = CURRENT_USER AS is_login, role, operation, relation, rows, outcome
  FROM privacy_guard.accesses_to('12', subject_category => 'regress_audit_person') ORDER BY leaf_index;
SELECT kind, operation, object, keys(subjects) FROM privacy_guard.audit_records(last_records => 2) WHERE kind = 'read' ORDER BY leaf_index LIMIT 1;
SELECT ok FROM privacy_guard.verify_audit_log();

\echo Levels
SELECT privacy_guard.unprotect('device');
SELECT privacy_guard.protect('device', 'owner', subject_category => 'regress_audit_holder', audit_level => 'statement');
SELECT privacy_guard.permit('device', 'audited');
SELECT privacy_guard.unprotect('meeting');
SELECT privacy_guard.protect('meeting', subject_columns => '{host,guest}', subject_category => 'regress_audit_person', audit_level => 'none');
SELECT privacy_guard.permit('meeting', 'audited');
SELECT count(*) >= 0 AS skipped FROM news();
SET ROLE regress_audit_app;
BEGIN;
SET LOCAL privacy_guard.purpose = 'audited';
SELECT count(*) FROM device;
SELECT count(*) FROM meeting;
COMMIT;
RESET ROLE;
SELECT operation, relation, rows, outcome, keys FROM news();
SHOW privacy_guard.audit_durability;
SET privacy_guard.audit_durability = 'async';

SELECT count(privacy_guard.unprotect(t)) FROM unnest('{letter,person,meeting,device}'::regclass[]) t;
SET client_min_messages = warning;
SELECT privacy_guard.revoke_collection('audited', CURRENT_USER::regrole) \g /dev/null
SELECT privacy_guard.revoke_purpose('audited', 'regress_audit_app') \g /dev/null
RESET search_path;
DROP SCHEMA regress_audit CASCADE;
DROP ROLE regress_audit_app;
REVOKE privacy_guard_auditor FROM CURRENT_USER;
