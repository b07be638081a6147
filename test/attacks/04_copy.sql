-- COPY of a role that row security does not touch meets neither planner nor executor.

-- ## COPY TO by a superuser
-- stock: leaks
-- guarded: filtered
\c - super
COPY customer TO STDOUT;

-- ## COPY TO by BYPASSRLS, some columns
-- stock: leaks
-- guarded: filtered
\c - bypass
COPY customer (note) TO STDOUT WITH (FORMAT csv, HEADER);

-- ## COPY TO of a partition and of a child
-- stock: leaks
-- guarded: filtered
COPY event_1 TO STDOUT;
COPY contact_vip TO STDOUT;

-- ## COPY TO by an owner on whom row security is not forced
-- stock: leaks
-- guarded: filtered
\c - super
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
\c - owner
COPY customer TO STDOUT;

-- ## COPY of a query
-- stock: leaks
-- guarded: filtered
\c - super
COPY (SELECT * FROM customer) TO STDOUT;
COPY (UPDATE customer SET name = 'x' RETURNING *) TO STDOUT;

-- ## COPY from inside a function
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION evil(file text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('COPY customer TO %L', file);
    RETURN QUERY SELECT * FROM regexp_split_to_table(pg_read_file(file), E'\n');
END $$;
SELECT evil(:'file');

-- ## COPY to a program
-- stock: leaks
-- guarded: filtered
\c - super
SELECT 'cat > ' || :'file' AS program \gset
COPY customer TO PROGRAM :'program';
SELECT pg_read_file(:'file');

-- ## COPY FROM of a forbidden row by a superuser
-- stock: leaks
-- guarded: refused 42501
\c - super
COPY (SELECT 11, 1, 'x', 'sec' || 'ret') TO :'file';
COPY customer FROM :'file';
\c - checker
SELECT note FROM customer WHERE id = 11;

-- ## COPY FROM with FREEZE and triggers off
-- stock: leaks
-- guarded: refused 42501
\c - super
COPY (SELECT 11, 1, 'x', 'sec' || 'ret') TO :'file';
SET session_replication_role = replica;
COPY customer FROM :'file';
\c - checker
SELECT note FROM customer WHERE id = 11;

-- ## COPY FROM into a table that a cascade has written in this transaction
-- stock: leaks
-- guarded: refused 42501
\c - super
COPY (SELECT 11, 4, 'x', 'sec' || 'ret') TO :'file';
BEGIN;
INSERT INTO region VALUES (3);
UPDATE region SET id = 4 WHERE id = 1;
DELETE FROM region WHERE id = 3;
COPY customer FROM :'file';
COMMIT;
\c - checker
SELECT note FROM customer WHERE id = 11;

-- ## COPY FROM whose error shows the row
-- stock: leaks
-- guarded: known (a unique index tells that a key is taken)
\c - super
COPY (SELECT 5, 1, 'x', 'y') TO :'file';
COPY customer FROM :'file';
SELECT 'sec' || 'ret customer 5 was found' FROM pg_stat_activity WHERE pid = pg_backend_pid() AND :'LAST_ERROR_SQLSTATE' = '23505';
