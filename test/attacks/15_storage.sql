-- Rows that are past their storage duration.

-- ## roles that row security does not touch
-- stock: leaks
-- guarded: filtered
\c - bypass
SELECT note FROM visit;
\c - super
SELECT note FROM visit;
SET ROLE owner;
SELECT note FROM visit;

-- ## the owner of a definer function and of a view
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION notes() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT note FROM visit';
CREATE VIEW note AS SELECT note FROM visit;
GRANT SELECT ON note TO app;
\c - app
SELECT notes();
SELECT note FROM note;

-- ## COPY by a role that row security does not touch
-- stock: leaks
-- guarded: filtered
\c - bypass
COPY visit (note) TO STDOUT;

-- ## another time zone makes it earlier
-- stock: leaks
-- guarded: filtered
SET timezone = 'Etc/GMT+12';
SELECT note FROM visit;

-- ## a transaction that began before the end
-- stock: leaks
-- guarded: filtered
\c - checker
UPDATE visit SET since = clock_timestamp() AT TIME ZONE 'UTC' - interval '1 day' + interval '2 seconds' WHERE id = 1;
\c - app
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM visit;
SELECT pg_sleep(2.1);
SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM visit;
COMMIT;

-- ## a plan that was prepared before the end
-- stock: leaks
-- guarded: filtered
\c - checker
UPDATE visit SET since = clock_timestamp() AT TIME ZONE 'UTC' - interval '1 day' + interval '2 seconds' WHERE id = 1;
\c - app
SET plan_cache_mode = force_generic_plan;
BEGIN;
PREPARE p AS SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM visit;
SELECT pg_sleep(2.1);
EXECUTE p;
COMMIT;

-- ## a cursor that was opened before the end
-- stock: leaks
-- guarded: filtered
\c - checker
UPDATE visit SET since = clock_timestamp() AT TIME ZONE 'UTC' - interval '1 day' + interval '2 seconds' WHERE id = 1;
\c - app
BEGIN;
DECLARE c CURSOR FOR SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM visit;
FETCH c;
SELECT pg_sleep(2.1);
FETCH ALL FROM c;
COMMIT;

-- ## a cursor that had sorted the rows before the end
-- stock: leaks
-- guarded: refused 55000
\c - checker
UPDATE visit SET since = clock_timestamp() AT TIME ZONE 'UTC' - interval '1 day' + interval '2 seconds' WHERE id = 1;
\c - app
BEGIN;
DECLARE c CURSOR FOR SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM visit ORDER BY visit.note DESC;
FETCH c;
SELECT pg_sleep(2.1);
FETCH ALL FROM c;
COMMIT;

-- ## a cursor WITH HOLD
-- stock: leaks
-- guarded: refused 55000
\c - checker
UPDATE visit SET since = clock_timestamp() AT TIME ZONE 'UTC' - interval '1 day' + interval '2 seconds' WHERE id = 1;
\c - app
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM visit;
COMMIT;
SELECT pg_sleep(2.1);
FETCH ALL FROM c;

-- ## a cursor within a function
-- stock: leaks
-- guarded: filtered
\c - checker
UPDATE visit SET since = clock_timestamp() AT TIME ZONE 'UTC' - interval '1 day' + interval '2 seconds' WHERE id = 1;
\c - app
DO $$
DECLARE
    c CURSOR FOR SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM visit ORDER BY id DESC;
    note text;
BEGIN
    OPEN c;
    FETCH c INTO note;
    PERFORM pg_sleep(2.1);
    FETCH LAST FROM c INTO note;
    RAISE NOTICE '%', note;
END $$;

-- ## what has ended is given a new start
-- stock: leaks
-- guarded: filtered
\c - bypass
UPDATE visit SET since = now() AT TIME ZONE 'UTC' RETURNING note;
\c - app
SELECT note FROM visit;

-- ## what has ended is met by ON CONFLICT
-- stock: leaks
-- guarded: refused 42501
\c - bypass
INSERT INTO visit VALUES (5, 1, now() AT TIME ZONE 'UTC', '') ON CONFLICT (id) DO UPDATE SET note = visit.note RETURNING note;

-- ## the column goes from which the duration counts
-- stock: leaks
-- guarded: refused 55000
\c - owner
ALTER TABLE visit DROP COLUMN since CASCADE;
CREATE POLICY evil ON visit USING (true);
SELECT note FROM visit;

-- ## the column is renamed or retyped, and another takes its place
-- stock: leaks
-- guarded: refused 55000
\c - owner
ALTER TABLE visit RENAME since TO began;
ALTER TABLE visit ADD since timestamp DEFAULT now();
ALTER TABLE visit ALTER since TYPE timestamptz USING now();
DROP POLICY purpose ON visit;
CREATE POLICY evil ON visit USING (since > localtimestamp - interval '1 day');
SELECT note FROM visit;

-- ## the rule itself
-- stock: leaks
-- guarded: refused 42501
\c - super
ALTER POLICY purpose ON visit USING (true);
DELETE FROM privacy_guard.retention;
UPDATE privacy_guard.retention SET effective_from = 'infinity';
UPDATE privacy_guard.guarded_table SET retention_start = NULL;
SELECT privacy_guard.unretain('visit');
SELECT privacy_guard.retain('visit', '100 years', 'since', effective_from => now());
SET ROLE owner;
SELECT note FROM visit;
