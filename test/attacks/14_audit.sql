-- Reading without a trace, and changing the traces. The rows read here may be seen; the secret is that they
-- were, and an attack succeeds where ops.verdict() says that the log does not tell exactly whose they were.
-- Stock has the audit of a careful application: once ops.audit_reads() was called, its policy notes each
-- customer it lets pass, and a trigger each change; otherwise it has what the application itself notes.

-- ## reading in a transaction that is rolled back
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
BEGIN;
SELECT note FROM customer WHERE id <= 2;
ROLLBACK;
\c - auditor
SELECT ops.verdict(1, 2);

-- ## reading after a savepoint that is rolled back
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
BEGIN;
SELECT note FROM customer WHERE id = 2;
SAVEPOINT s;
SELECT note FROM customer WHERE id = 1;
SAVEPOINT t;
SELECT note FROM customer WHERE id = 3;
RELEASE t;
ROLLBACK TO s;
COMMIT;
\c - auditor
SELECT ops.verdict(1, 2, 3);

-- ## reading in a block whose error is caught
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
DO $$
DECLARE
    seen text;
BEGIN
    SELECT note INTO seen FROM customer WHERE id = 1;
    RAISE EXCEPTION USING MESSAGE = seen;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '%', SQLERRM;
END $$;
\c - auditor
SELECT ops.verdict(1);

-- ## a query that fails at a row after those that it told
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
CREATE FUNCTION pg_temp.tell(id bigint, note text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', note; RETURN 1 / (3 - id); END $$;
SELECT pg_temp.tell(id, note) FROM customer;
\c - auditor
SELECT ops.verdict(1, 2, 3);

-- ## COPY that fails after rows were sent
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
COPY (SELECT note, 1 / (3 - id) FROM customer) TO STDOUT;
\c - auditor
SELECT ops.verdict(1, 2, 3);

-- ## an error that quotes a value
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
SELECT note::int FROM customer WHERE id = 1;
SELECT name FROM customer WHERE note::int > 0 AND id = 2;
\c - auditor
SELECT ops.verdict(1, 2);

-- ## a condition that tells the rows which it does not let pass
-- stock: leaks
-- guarded: recorded
CREATE FUNCTION pg_temp.tell(note text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', note; RETURN false; END $$;
SELECT name FROM customer WHERE pg_temp.tell(note) AND length(name) = 11 AND id + 0 < 3;
\c - auditor
SELECT ops.verdict(1, 2);

-- ## a condition that remembers the rows which it does not let pass
-- stock: leaks
-- guarded: recorded
SELECT name FROM customer WHERE set_config('evil.seen', concat(current_setting('evil.seen', true), note, ' '), false) IS NULL;
SELECT current_setting('evil.seen');
\c - auditor
SELECT ops.verdict(1, 2, 3, 4);

-- ## a subquery in a condition that does
-- stock: leaks
-- guarded: recorded
SELECT name FROM customer c WHERE id % 2 = 0 AND (SELECT count(*) FROM generate_series(1, 2) g
 WHERE g = length(set_config('evil.seen', concat(current_setting('evil.seen', true), c.note, ' '), false))) > 0;
SELECT current_setting('evil.seen');
\c - auditor
SELECT ops.verdict(2, 4);

-- ## conditions that tell nothing
-- stock: none (a policy notes them all)
-- guarded: recorded
CREATE TEMP TABLE plain AS SELECT 3 AS id;
SELECT note FROM customer c WHERE upper(note) LIKE '%OF 3' AND (EXISTS (SELECT FROM plain WHERE plain.id = c.id) OR note = 'x');
\c - auditor
SELECT ops.verdict(3);

-- ## a session that ends while it has a row in hand
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
\! PGUSER=app psql -XAtq -c "CREATE FUNCTION pg_temp.tell(note text) RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN RAISE NOTICE '%', note; RETURN 1; END \$\$" -c "SELECT pg_temp.tell(note), pg_terminate_backend(pg_backend_pid()), pg_sleep(1) FROM customer WHERE upper(note) LIKE '%OF 3'" 2>&1
SELECT pg_sleep(0.5);
\c - auditor
SELECT ops.verdict(3);

-- ## a cursor of which two rows are fetched, rolled back
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
BEGIN;
DECLARE c CURSOR FOR SELECT note FROM customer;
FETCH 2 FROM c;
ROLLBACK;
\c - auditor
SELECT ops.verdict(1, 2);

-- ## a cursor that never comes to its end
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
\! PGUSER=app psql -XAtq -c "BEGIN; DECLARE c CURSOR FOR SELECT note FROM customer" -c "FETCH 1 FROM c" -c "FETCH 1 FROM c" 2>&1
SELECT pg_sleep(0.5);
\c - auditor
SELECT ops.verdict(1, 2);

-- ## a statement that runs into its timeout
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
CREATE FUNCTION pg_temp.tell(id bigint, note text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', note; PERFORM pg_sleep(CASE id WHEN 2 THEN 20 ELSE 0 END); RETURN 1; END $$;
SET statement_timeout = '200ms';
SELECT pg_temp.tell(id, note) FROM customer;
\c - auditor
SELECT ops.verdict(1, 2);

-- ## a session that ends itself
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
\! PGUSER=app psql -XAtq -c "DO \$\$ BEGIN RAISE NOTICE '%', (SELECT note FROM customer WHERE id = 1); PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END \$\$" 2>&1
SELECT pg_sleep(0.5);
\c - auditor
SELECT ops.verdict(1);

-- ## a client that goes away without a word
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
\! (echo "BEGIN; SELECT note FROM customer WHERE id = 1;"; echo "\! kill -9 \$PPID") | PGUSER=app psql -XAtq 2>&1
SELECT pg_sleep(0.5);
\c - auditor
SELECT ops.verdict(1);

-- ## a procedure that rolls back between what it reads
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
DO $$
BEGIN
    FOR i IN 1 .. 3 LOOP
        RAISE NOTICE '%', (SELECT note FROM customer WHERE id = i);
        ROLLBACK;
    END LOOP;
END $$;
\c - auditor
SELECT ops.verdict(1, 2, 3);

-- ## a prepared transaction that is rolled back
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
BEGIN;
SELECT note FROM customer WHERE id = 1;
PREPARE TRANSACTION 'evil';
ROLLBACK PREPARED 'evil';
\c - auditor
SELECT ops.verdict(1);

-- ## more rolled back than can be kept until the end
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
BEGIN;
SELECT note FROM customer WHERE id = 1;
DO $$ BEGIN FOR i IN 1 .. 1000 LOOP PERFORM note FROM customer WHERE id = 2 + i % 3; END LOOP; END $$;
ROLLBACK;
\c - auditor
SELECT ops.verdict(1, 2, 3, 4);
\if :guarded
SELECT CASE WHEN count(*) <> 1001 OR bool_or(outcome <> 'rolled_back') THEN 'sec' || 'ret: ' || count(*) END
  FROM privacy_guard.accesses_by('app');
\endif

-- ## rows that are counted and not shown
-- stock: leaks
-- guarded: recorded
SELECT count(*) FROM customer WHERE note LIKE 'open note of 1%';
\c - auditor
SELECT ops.verdict(1);

-- ## rows that are asked for one by one with EXISTS
-- stock: leaks
-- guarded: recorded
SELECT string_agg(CASE WHEN EXISTS (SELECT FROM customer WHERE id = 1 AND note LIKE 'open%' AND substr(note, n, 1) = l) THEN l END, '' ORDER BY n)
  FROM generate_series(1, 4) n, unnest('{e,n,o,p}'::text[]) l;
\c - auditor
SELECT ops.verdict(1);

-- ## a loop that tells rows in notices
-- stock: leaks
-- guarded: recorded
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT note FROM customer WHERE id IN (2, 4) LOOP
        RAISE NOTICE '%', r.note;
    END LOOP;
END $$;
\c - auditor
SELECT ops.verdict(2, 4);

-- ## a trigger on a table of one's own that reads
-- stock: leaks
-- guarded: recorded
CREATE TEMP TABLE mine (a int);
CREATE FUNCTION pg_temp.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT note FROM customer WHERE id = NEW.a); RETURN NULL; END $$;
CREATE TRIGGER look BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pg_temp.look();
INSERT INTO mine VALUES (3);
\c - auditor
SELECT ops.verdict(3);

-- ## rows that settle in a temporary table
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
BEGIN;
CREATE TEMP TABLE mine AS SELECT note FROM customer WHERE id = 1;
DECLARE c CURSOR WITH HOLD FOR SELECT note FROM customer WHERE id = 2;
SELECT note FROM mine;
FETCH c;
ROLLBACK;
\c - auditor
SELECT ops.verdict(1, 2);

-- ## a prepared statement that is executed again and again
-- stock: holds (the policy notes each execution)
-- guarded: recorded
SELECT ops.audit_reads();
PREPARE p (bigint) AS SELECT note FROM customer WHERE id = $1;
EXECUTE p (1); EXECUTE p (1); EXECUTE p (2); EXECUTE p (2); EXECUTE p (3); EXECUTE p (3); EXECUTE p (4);
\c - auditor
SELECT ops.verdict(1, 2, 3, 4);
\if :guarded
SELECT CASE WHEN count(*) <> 7 THEN 'sec' || 'ret: ' || count(*) END FROM privacy_guard.accesses_by('app');
\endif

-- ## a hundred refusals that are caught
-- stock: none (nothing is refused, it is filtered)
-- guarded: recorded
DO $$
BEGIN
    PERFORM set_config('privacy_guard.purpose', '', true);
    FOR i IN 1 .. 100 LOOP
        BEGIN
            PERFORM note FROM customer WHERE id = i;
        EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state THEN
            NULL;
        END;
    END LOOP;
    RAISE EXCEPTION 'nothing of this has happened';
END $$;
\c - auditor
SELECT CASE WHEN sum(count) = 100 THEN 'on record' ELSE 'sec' || 'ret: ' || coalesce(sum(count), 0) END FROM privacy_guard.denials(actor => 'app');

-- ## a change with triggers switched off
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
\c - super
SET session_replication_role = replica;
UPDATE ticket SET body = 'open ticket' WHERE customer = 1;
\c - auditor
SELECT ops.verdict(1);

-- ## a change through a cursor, rolled back
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
BEGIN;
DELETE FROM ticket WHERE customer = 1 RETURNING body;
ROLLBACK;
\c - auditor
SELECT ops.verdict(1);

-- ## a record of what somebody else never did
-- stock: leaks
-- guarded: refused 42501, recorded
\if :guarded
SELECT privacy_guard_internal.audit_event('access', 'Access', 'customer');
INSERT INTO privacy_guard.audit_segment SELECT * FROM privacy_guard.audit_segment;
\c - super
SELECT privacy_guard_internal.audit_event('access', 'Access', 'customer');
INSERT INTO privacy_guard.audit_segment (origin_id, first_leaf, leaves) VALUES (1, 0, 1);
INSERT INTO privacy_guard.audit_checkpoint (origin_id, tree_size, root) VALUES (1, 0, '');
INSERT INTO privacy_guard.subject_alias VALUES (1, '1', 2);
\else
INSERT INTO ops.audit (role, customer) VALUES ('clerk', 1);
\endif
\c - auditor
SELECT ops.verdict();

-- ## names of the application and its user that look like another record
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
SELECT set_config(name, E'open\nclerk read customer 9' || repeat(' and another', 10000), false) <> ''
  FROM unnest('{application_name,app.application_user}'::text[]) name;
SELECT set_config('privacy_guard.application_user', E'open\nclerk read customer 9', false) <> '';
SELECT set_config('privacy_guard.application_user', repeat('open', 10000), false) <> '';
SELECT note FROM customer WHERE id = 1;
\c - auditor
SELECT CASE WHEN bool_or(line ~ '^clerk') THEN 'sec' || 'ret: there is a line of clerk' WHEN count(*) > 0 THEN 'on record' END
  FROM regexp_split_to_table(ops.report(), E'\n') line;
SELECT CASE WHEN length(ops.report()) > 20000 THEN 'sec' || 'ret: the log is full of it' END;

-- ## a statement that looks like another record
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
SELECT note /*
clerk read customer 9 */ AS "open
clerk read customer 9" FROM customer WHERE id = 1;
\c - auditor
SELECT CASE WHEN bool_or(line ~ '^clerk') THEN 'sec' || 'ret: there is a line of clerk' WHEN count(*) > 0 THEN 'on record' END
  FROM regexp_split_to_table(ops.report(), E'\n') line;

-- ## personal data in the text of a statement
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
SELECT note FROM customer WHERE id = 1 AND note <> 'patient 4711' || ' has the pox' /* which nobody may know */;
\c - auditor
SELECT CASE WHEN ops.report() ~ '4711|pox|nobody' THEN 'sec' || 'ret: the log tells it' WHEN ops.report() ~ 'SELECT note' THEN 'on record' END;

-- ## a statement of a megabyte
-- stock: leaks
-- guarded: recorded
SELECT ops.audit_reads();
SELECT 'SELECT note FROM customer WHERE id = 1 AND id IN (1, ' || repeat('2, ', 300000) || '2)' \gexec
\c - auditor
SELECT ops.verdict(1);
SELECT CASE WHEN length(ops.report()) > 20000 THEN 'sec' || 'ret: the log is full of it' END;

-- ## a superuser deletes from the log
-- stock: leaks
-- guarded: refused 42501, recorded
SELECT ops.audit_reads();
SELECT note FROM customer WHERE id = 1;
\c - super
DELETE FROM :log;
DELETE FROM ONLY :log;
WITH x AS (DELETE FROM :log RETURNING 1) SELECT count(*) FROM x;
SELECT format('DO %L', 'BEGIN DELETE FROM ' || :'log' || '; END') \gexec
SET session_replication_role = replica;
DELETE FROM :log;
\c - auditor
SELECT ops.verdict(1);

-- ## a superuser rewrites the log
-- stock: leaks
-- guarded: refused 42501, recorded
SELECT ops.audit_reads();
SELECT note FROM customer WHERE id = 1;
\c - super
\if :guarded
UPDATE privacy_guard.audit_segment SET records = '';
MERGE INTO privacy_guard.audit_segment USING (VALUES (1)) v ON true WHEN MATCHED THEN DELETE;
UPDATE privacy_guard.audit_statement SET text = 'SELECT nothing';
UPDATE privacy_guard.audit_checkpoint SET root = '';
UPDATE privacy_guard.audit_origin SET reason = 'evil';
\else
UPDATE ops.audit SET customer = 2;
\endif
\c - auditor
SELECT ops.verdict(1);

-- ## a superuser truncates the log
-- stock: leaks
-- guarded: refused 42501, recorded
SELECT ops.audit_reads();
SELECT note FROM customer WHERE id = 1;
\c - super
TRUNCATE :log;
TRUNCATE :log CASCADE;
\c - auditor
SELECT ops.verdict(1);

-- ## a superuser changes where the log's rows really are
-- stock: leaks
-- guarded: refused 42501, recorded
SELECT ops.audit_reads();
SELECT note FROM customer WHERE id = 1;
\c - auditor
SELECT ops.verdict(1);
\c - super
SELECT coalesce((SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = :'log'::regclass LIMIT 1), :'log'::regclass) AS part \gset
DELETE FROM :part;
TRUNCATE :part;
ALTER TABLE :part RENAME TO elsewhere;
ALTER TABLE :log DETACH PARTITION :part;
DROP TABLE :part;
\c - auditor
SELECT ops.verdict(1);

-- ## a superuser drops the log, or moves it out of sight
-- stock: leaks
-- guarded: refused 42501, recorded
SELECT ops.audit_reads();
SELECT note FROM customer WHERE id = 1;
\c - super
ALTER TABLE :log RENAME TO elsewhere;
ALTER TABLE :log SET SCHEMA public;
ALTER EXTENSION privacy_guard DROP TABLE :log;
DROP TABLE :log CASCADE;
\c - auditor
SELECT ops.verdict(1);
SELECT CASE WHEN to_regclass(:'log') IS NULL THEN 'sec' || 'ret: there is no log' END;

-- ## a trigger that swallows records
-- stock: leaks
-- guarded: refused 42501, recorded
SELECT ops.audit_reads();
\c - super
CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER swallow BEFORE INSERT ON :log FOR EACH ROW EXECUTE FUNCTION public.swallow();
ALTER TABLE :log ENABLE ALWAYS TRIGGER swallow;
\c - app
SELECT note FROM customer WHERE id = 1;
\c - auditor
SELECT ops.verdict(1);

-- ## a rule, a policy or a check that keeps records out
-- stock: leaks
-- guarded: refused 42501, recorded
SELECT ops.audit_reads();
\c - super
CREATE RULE swallow AS ON INSERT TO :log DO INSTEAD NOTHING;
ALTER TABLE :log ADD CONSTRAINT nothing CHECK (false) NOT VALID;
ALTER TABLE :log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
\c - app
SELECT note FROM customer WHERE id = 1;
\c - auditor
SELECT ops.verdict(1);

-- ## a superuser loads records of his own
-- stock: leaks
-- guarded: refused 42501, recorded
\c - super
COPY (SELECT * FROM :log) TO :'file' (FORMAT binary);
\if :guarded
COPY privacy_guard.audit_segment FROM :'file' (FORMAT binary);
\else
COPY ops.audit (role, customer) FROM PROGRAM 'printf "clerk\t1\n"';
\endif
\c - auditor
SELECT ops.verdict();

-- ## a superuser locks the log, so that nothing can be added
-- stock: leaks
-- guarded: refused 42501, recorded
SELECT ops.audit_reads();
\c - super
BEGIN;
LOCK TABLE :log IN ACCESS EXCLUSIVE MODE;
\! PGUSER=app PGOPTIONS="-c statement_timeout=2000" psql -XAtq -c "SELECT note FROM customer WHERE id = 1" 2>&1
SELECT 'sec' || 'ret: locked' FROM pg_locks WHERE relation = :'log'::regclass AND mode = 'AccessExclusiveLock';
ROLLBACK;
\c - auditor
SELECT ops.verdict(1);

-- ## others read the log
-- stock: holds (nobody was granted it)
-- guarded: refused 42501
SELECT 'sec' || 'ret' FROM :log;
\if :guarded
SELECT 'sec' || 'ret', * FROM privacy_guard.audit_log;
SELECT 'sec' || 'ret', * FROM privacy_guard.accesses_to('1');
SELECT 'sec' || 'ret', * FROM privacy_guard.audit_records();
\c - super
SELECT 'sec' || 'ret', * FROM privacy_guard.audit_log;
SELECT 'sec' || 'ret', * FROM privacy_guard.accesses_to('1');
SET ROLE auditor;
SELECT 'sec' || 'ret', * FROM privacy_guard.denials();
\endif

-- ## the settings of the audit are changed in a session
-- stock: none (no settings)
-- guarded: refused 55P02
\c - super
SET privacy_guard.audit_durability = async;
SET privacy_guard.audit_timeout = 1;
SELECT set_config('privacy_guard.audit_durability', 'async', true);
ALTER ROLE app SET privacy_guard.audit_durability = async;
ALTER DATABASE attack SET privacy_guard.audit_timeout = 1;
CREATE FUNCTION public.evil() RETURNS text LANGUAGE sql SET privacy_guard.audit_durability = async AS 'SELECT note FROM customer WHERE id = 1';
\c - app
SELECT CASE WHEN current_setting('privacy_guard.audit_durability') <> 'transaction' THEN 'sec' || 'ret: changed' END;

-- ## query identifiers are switched off
-- stock: leaks
-- guarded: recorded
\c - super
SET compute_query_id = off;
SELECT note FROM customer WHERE id = 1 AND note <> 'nobody';
\c - auditor
SELECT ops.verdict(1);

-- ## a superuser ends the audit writer
-- stock: none (no writer)
-- guarded: recorded
\c - super
SELECT count(*) > 0 FROM (SELECT pg_cancel_backend(pid), pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'privacy_guard%') x;
\c - app
BEGIN;
SELECT note FROM customer WHERE id = 1;
ROLLBACK;
\c - auditor
SELECT ops.verdict(1);
