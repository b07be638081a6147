-- privacy_guard.subject_set: forms, operators, aggregates, indexes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
CREATE SCHEMA subject_set_test;
SET search_path = subject_set_test, privacy_guard, public;

-- Text.
SELECT '{}'::subject_set, ' { } '::subject_set, '4711'::subject_set AS bare, ' 3 - 5 '::subject_set AS bare_range;
SELECT $$ { 4711 ,5 -
    9,	1,7,10-10, 2 } $$::subject_set;
SELECT '{1-2,4-6,65535-65537,4294967295-4294967296,9223372036854775807}'::subject_set;
SELECT '{9,00012,1-99999999}'::subject_set;
SELECT '{4711,name@example.org}'::subject_set;
SELECT '{4711,9-5}'::subject_set;
SELECT '{4711,0}'::subject_set;
SELECT '{1-9223372036854775807}'::subject_set;
\set VERBOSITY sqlstate
SELECT ''::subject_set;
SELECT '{'::subject_set;
SELECT '{}}'::subject_set;
SELECT '{,}'::subject_set;
SELECT '{1,}'::subject_set;
SELECT '{1 2}'::subject_set;
SELECT '{1-}'::subject_set;
SELECT '{1-2-3}'::subject_set;
SELECT '1,2'::subject_set;
SELECT '{-1}'::subject_set;
SELECT '{+1}'::subject_set;
SELECT '{1.0}'::subject_set;
SELECT '{NULL}'::subject_set;
SELECT '{0-5}'::subject_set;
SELECT '{9223372036854775808}'::subject_set;
SELECT '{1-9223372036854775808}'::subject_set;
SELECT '{99999999999999999999}'::subject_set;
\set VERBOSITY default

-- Casts and making.
SELECT subject_set(3, 1, 2), subject_set(5), '{3,1,3}'::bigint[]::subject_set, '{{3},{1}}'::bigint[]::subject_set, '{}'::bigint[]::subject_set;
SELECT '{7,1-3}'::subject_set::bigint[], '{}'::subject_set::bigint[], '{7,1-3}'::subject_set::jsonb, '{}'::subject_set::jsonb;
SELECT '[3, 1.0, 2e0, 3, 9223372036854775807]'::jsonb::subject_set, '[]'::jsonb::subject_set;
SELECT subject_set(1, NULL);
SELECT subject_set(1, 0);
SELECT '"4711"'::jsonb::subject_set;
SELECT '["4711"]'::jsonb::subject_set;
SELECT '[1.5]'::jsonb::subject_set;
SELECT '{1-16777217}'::subject_set::jsonb;
SELECT '{1-68719476735}'::subject_set::bigint[];
\set VERBOSITY sqlstate
SELECT subject_set(-1);
SELECT '{"a": 1}'::jsonb::subject_set;
SELECT '7'::jsonb::subject_set;
SELECT '[null]'::jsonb::subject_set;
SELECT '[[1]]'::jsonb::subject_set;
SELECT '[0]'::jsonb::subject_set;
SELECT '[-1]'::jsonb::subject_set;
SELECT '[9223372036854775808]'::jsonb::subject_set;
SELECT '[1e400]'::jsonb::subject_set;
\set VERBOSITY default
SELECT cardinality('{}'::subject_set), cardinality('{1,5-9}'::subject_set), cardinality('{1-9999999999}'::subject_set);
SELECT subjects('{5-7,65535-65536,9223372036854775807}');
SELECT count(*) FROM subjects('{}');

-- Operators.
SELECT n, '{1,5-9,70000}'::subject_set @> n AS has, n <@ '{1,5-9,70000}'::subject_set AS "in"
    FROM unnest('{-1,0,1,2,5,9,10,65541,70000,4294967301,9223372036854775807}'::bigint[]) AS n;
SELECT '{1,2}'::subject_set @> 2 AS t, '{1,2}'::subject_set @> '2' AS t, '{1,2}'::subject_set @> '{1,3}' AS f,
       '{1}'::subject_set @> '{}' AS t, '{}'::subject_set <@ '{1}' AS t, '{1,3}'::subject_set <@ '{1,2}' AS f, '{}'::subject_set @> 1 AS f;
SELECT '{1,2}'::subject_set && '{2,3}' AS t, '{1}'::subject_set && '{4294967297}' AS f, '{}'::subject_set && '{}' AS f;
SELECT '{1,3}'::subject_set | '{2,3}' AS "set", '{1,3}'::subject_set | '2' AS literal, '{1,3}'::subject_set | 4 AS number, '{}'::subject_set | '{}' AS empty;
SELECT '{1-9}'::subject_set & '{5,8-20}' AS "set", '{1}'::subject_set & '{4294967297}' AS none, '{1-65536}'::subject_set & '{}' AS empty;
SELECT '{1-9}'::subject_set - '{5,8-20}' AS "set", '{1-9}'::subject_set - 5 AS number, '{1-9}'::subject_set - '{1-9}' AS none,
       '{1,4294967297}'::subject_set - '{1}' AS high;
SELECT '{1}'::subject_set | 0;
SELECT '{1}'::subject_set - 0::bigint;
SELECT '{1-68719476735}'::subject_set | 68719476736;
SELECT s FROM (VALUES ('{2}'::subject_set), ('{}'), ('{1-3}'), ('{1,2,4}'), ('{1}'), ('{1-4}'), ('{1,3}'), ('{4294967297}'), ('{1-3,9}')) AS v (s) ORDER BY s;
SELECT '{1,2}'::subject_set = '{2,1}' AS eq, '{1}'::subject_set <> '{2}' AS ne, '{1}'::subject_set < '{2}' AS lt,
       '{1}'::subject_set <= '{1}' AS le, '{2}'::subject_set > '{1,3}' AS gt, '{1}'::subject_set >= '{1}' AS ge,
       subject_set_hash('{1,2}') = subject_set_hash('{2,1}') AS hash,
       subject_set_hash_extended('{1,2}', 1) = subject_set_hash_extended('{2,1}', 1) AS extended;

-- What a set went through leaves no trace in its bytes: where an array and runs are as long, it is an array.
SELECT s = '{1,2,11,12}' AS same, encode(subject_set_send(s), 'hex') FROM (VALUES
    ('{1,2,11,12}'::subject_set), ('{1-2,11-12}'), ('{1-3,11-12}'::subject_set - 3), ('{1-9}'::subject_set - '{3-9}' | '{11-12}'),
    ('{1-2,11-12,100-9000}'::subject_set & '{1-99}'), (subject_set(12, 11, 2, 1)), ('{1,2,11-13}'::subject_set & '{1-12}')) AS v (s);

-- The format is that of every Roaring library: an array, runs with a bucket above 2^32, and bits.
SELECT encode(subject_set_send('{}'), 'hex') AS none, encode(subject_set_send('{1,4711}'), 'hex') AS "array",
       encode(subject_set_send('{1,5-9,4711,4294967296-4295032831}'), 'hex') AS runs;
SELECT length(subject_set_send(subject_set_agg(n * 2))) AS bytes, substr(subject_set_send(subject_set_agg(n * 2)), 1, 40) AS head
    FROM generate_series(1, 5000) AS n;

-- Aggregates.
SELECT subject_set_agg(n) FROM (VALUES (3), (NULL), (1), (3), (4294967296)) AS v (n);
SELECT subject_set_agg(n) AS none FROM generate_series(1, 0) AS n;
SELECT subject_set_agg(NULL) AS nothing;
SELECT n % 2 AS odd, subject_set_agg(n) FROM generate_series(1, 6) AS n GROUP BY 1 ORDER BY 1;
SELECT subject_set_agg(0);
SELECT subject_set_union(s) FROM (VALUES ('{1,5-9}'::subject_set), (NULL), ('{}'), ('{9-12,4294967296}')) AS v (s);
SELECT subject_set_union(s) AS none FROM (VALUES ('{1}'::subject_set)) AS v (s) WHERE false;
SELECT n, subject_set_agg(n) OVER (ORDER BY n ROWS 2 PRECEDING) FROM generate_series(1, 4) AS n;
DO $$
BEGIN
    PERFORM subject_set_agg_step(NULL, 1);
EXCEPTION WHEN undefined_function OR feature_not_supported THEN
    RAISE NOTICE 'refused'; -- how depends on the minor release
END $$;

-- Sets of every kind, each beside the plain array of its members.
SELECT setseed(0.5);
CREATE TABLE sample (id int GENERATED ALWAYS AS IDENTITY, kind text, numbers bigint[], s subject_set);
INSERT INTO sample (kind, numbers) VALUES
    ('empty', '{}'), ('one', '{1}'), ('last', '{9223372036854775807}'),
    ('edges', '{65535,65536,131071,131072,4294967295,4294967296,4294967297,8589934591,8589934592,9223372036854775806}');
INSERT INTO sample (kind, numbers)
    SELECT 'spread', array_agg(DISTINCT 1 + floor(random() * 1e6)::bigint) FROM generate_series(1, 400)
    UNION ALL SELECT 'far', array_agg(DISTINCT 1 + floor(random() * 9e18)::bigint) FROM generate_series(1, 100)
    UNION ALL SELECT 'array to the brim', array_agg(n * 2) FROM generate_series(1, 4096) AS n
    UNION ALL SELECT 'bits', array_agg(n) FROM generate_series(1, 20000) AS n WHERE random() < 0.4
    UNION ALL SELECT 'pairs', array_agg(n) FROM generate_series(1, 6000) AS n WHERE n % 7 IN (1, 2)
    UNION ALL SELECT 'runs', array_agg(n) FROM generate_series(60000, 75000) AS n WHERE n % 100 < 90
    UNION ALL SELECT 'full', array_agg(n) FROM generate_series(65536, 131071) AS n
    UNION ALL SELECT 'mixed', array_agg(n) FROM generate_series(4294900000, 4294980000) AS n
        WHERE CASE WHEN n < 4294930000 THEN random() < 0.5 WHEN n < 4294967296 THEN random() < 0.001 ELSE n % 50 > 3 END;
UPDATE sample SET s = numbers::subject_set;
SELECT kind, cardinality(numbers) AS members, length(subject_set_send(s)) AS bytes,
       cardinality(s) = cardinality(numbers) AS cardinality,
       s::bigint[] = (SELECT coalesce(array_agg(n ORDER BY n), '{}') FROM unnest(numbers) AS n) AS "array",
       s::bigint[] = ARRAY(SELECT subjects(s)) AS subjects, s = s::text::subject_set AS text, s = s::jsonb::subject_set AS json,
       s = (SELECT subject_set_agg(n ORDER BY random()) FROM unnest(numbers) AS n) AS agg,
       (SELECT bool_and(s @> n) FROM unnest(numbers) AS n) AS has,
       (SELECT count(*) FROM unnest(numbers) AS n WHERE s @> (n - 1)) =
           (SELECT count(*) FROM unnest(numbers) AS n JOIN unnest(numbers) AS m ON m = n - 1) AS before
    FROM sample ORDER BY id;
CREATE FUNCTION differ_in(l sample, r sample) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ',
        CASE WHEN l.s | r.s <> b.u::subject_set OR (l.s | r.s)::bigint[] <> b.u THEN 'union' END,
        CASE WHEN l.s & r.s <> b.i::subject_set OR (l.s & r.s)::bigint[] <> b.i THEN 'intersection' END,
        CASE WHEN l.s - r.s <> b.d::subject_set OR (l.s - r.s)::bigint[] <> b.d THEN 'difference' END,
        CASE WHEN (l.s && r.s) <> (b.i <> '{}') THEN 'overlap' END,
        CASE WHEN (l.s <@ r.s) <> (b.d = '{}') THEN 'containment' END,
        CASE WHEN sign(subject_set_cmp(l.s, r.s)) <> sign(btarraycmp(l.s::bigint[], r.s::bigint[])) THEN 'order' END)
    FROM (SELECT ARRAY(SELECT unnest(l.numbers) UNION SELECT unnest(r.numbers) ORDER BY 1) AS u,
                 ARRAY(SELECT unnest(l.numbers) INTERSECT SELECT unnest(r.numbers) ORDER BY 1) AS i,
                 ARRAY(SELECT unnest(l.numbers) EXCEPT SELECT unnest(r.numbers) ORDER BY 1) AS d OFFSET 0) AS b
$$;
SELECT l.kind, r.kind, differ_in(l, r) FROM sample AS l, sample AS r WHERE differ_in(l, r) <> '';
SELECT subject_set_union(s) = (SELECT subject_set_agg(n) FROM sample, unnest(numbers) AS n) AS union_of_all FROM sample;
SELECT count(DISTINCT s), count(*) FROM (SELECT s FROM sample UNION ALL SELECT s | '{}' FROM sample) AS twice;

-- In parallel.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TABLE number AS SELECT n::bigint, ARRAY[n, n + 100000]::bigint[]::subject_set AS s FROM generate_series(1, 20000) AS n;
EXPLAIN (COSTS OFF) SELECT subject_set_agg(n), subject_set_union(s) FROM number;
SELECT subject_set_agg(n), subject_set_union(s), subject_set_agg(n) FILTER (WHERE n < 0) AS none FROM number;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- Binary COPY: a bytea is sent as its bytes, so that what subject_set receives can be anything.
CREATE TABLE sent (bytes bytea);
CREATE TABLE received (s subject_set);
CREATE FUNCTION receive(value bytea) RETURNS subject_set LANGUAGE plpgsql AS $$
DECLARE
    file text := current_setting('data_directory') || '/subject_set_receive_' || pg_backend_pid();
    result subject_set;
BEGIN
    TRUNCATE sent, received;
    INSERT INTO sent VALUES (value);
    EXECUTE format('COPY sent TO %L (FORMAT binary)', file);
    EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', format('cat "%1$s" && rm "%1$s"', file));
    SELECT s INTO result FROM received;
    RETURN result;
END $$;
SELECT bool_and(receive(subject_set_send(s)) = s) AS same FROM sample;
-- Valid, though not as subject_set writes it: {1,2} as a run; {1} with the cookie that allows runs; {1-5} as an array.
SELECT receive('\x01 0100000000000000 00000000 3b300000 01 00000100 0100 01000100') = '{1,2}' AS run,
       receive('\x01 0100000000000000 00000000 3b300000 00 00000000 0100') = '{1}' AS cookie,
       receive('\x01 0100000000000000 00000000 3a300000 01000000 00000400 10000000 0100 0200 0300 0400 0500') = '{1-5}' AS "array";
CREATE FUNCTION refuse(value bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    RETURN receive(value);
EXCEPTION WHEN invalid_binary_representation THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END $$;
SELECT what, refuse(value) FROM (VALUES
    ('nothing', '\x'::bytea), ('another format', '\x02 0000000000000000'), ('no count', '\x01 00000000'),
    ('left over', '\x01 0000000000000000 00'), ('too many buckets', '\x01 ffffffffffffffff'),
    ('a cookie', '\x01 0100000000000000 00000000 3c300000 01000000 00000000 10000000 0100'),
    ('no container', '\x01 0100000000000000 00000000 3a300000 00000000'),
    ('too many containers', '\x01 0100000000000000 00000000 3a300000 ffffffff 00000000 10000000 0100'),
    ('zero', '\x01 0100000000000000 00000000 3a300000 01000000 00000000 10000000 0000'),
    ('negative', '\x01 0100000000000000 00000080 3a300000 01000000 00000000 10000000 0100'),
    ('offset', '\x01 0100000000000000 00000000 3a300000 01000000 00000000 11000000 0100'),
    ('cut', '\x01 0100000000000000 00000000 3a300000 01000000 00000100 10000000 0100'),
    ('twice', '\x01 0100000000000000 00000000 3a300000 01000000 00000100 10000000 0100 0100'),
    ('keys', '\x01 0100000000000000 00000000 3a300000 02000000 01000000 01000000 18000000 1a000000 0100 0100'),
    ('buckets', '\x01 0200000000000000 00000000 3b300000 01 00000100 0100 01000100 00000000 3b300000 01 00000100 0100 01000100'),
    ('count of bits', '\x01 0100000000000000 00000000 3a300000 01000000 0000ffff 10000000 '::bytea || decode(repeat('fe', 8192), 'hex')),
    ('no runs', '\x01 0100000000000000 00000000 3b300000 01 00000000 0000'),
    ('count of runs', '\x01 0100000000000000 00000000 3b300000 01 00000200 0100 01000100'),
    ('runs that touch', '\x01 0100000000000000 00000000 3b300000 01 00000300 0200 01000100 03000100'),
    ('run over the end', '\x01 0100000000000000 00000000 3b300000 01 00000100 0100 ffff0100'),
    ('run of zero', '\x01 0100000000000000 00000000 3b300000 01 00000100 0100 00000100'),
    ('flags', '\x01 0100000000000000 00000000 3b300000 03 00000100 0100 01000100')) AS v (what, value);

-- Indexes. Sets with few and with many members in a block, and with more members than an index takes keys of.
CREATE TABLE record (id int PRIMARY KEY, s subject_set);
CREATE INDEX record_gin ON record USING gin (s);
INSERT INTO record SELECT id, s FROM sample;
INSERT INTO record SELECT 100 + r, subject_set_agg(1 + floor(random() * 300000)::bigint)
    FROM generate_series(1, 200) AS r, generate_series(1, 20) AS n WHERE (r + n) % 4 > 0 GROUP BY r;
INSERT INTO record SELECT 400 + r, subject_set_agg(n) FROM generate_series(1, 8) AS r, generate_series(1, 250000) AS n WHERE random() < 0.05 * r GROUP BY r;
INSERT INTO record SELECT 500, subject_set_agg(n * 70) FROM generate_series(1, 80000) AS n;
INSERT INTO record VALUES (501, NULL);
VACUUM ANALYZE record;
INSERT INTO record SELECT 600 + id, s FROM record WHERE id BETWEEN 100 AND 150 OR id BETWEEN 400 AND 403;
CREATE TABLE plain AS SELECT * FROM record;
ALTER TABLE plain ADD PRIMARY KEY (id);
CREATE TABLE query AS
    SELECT s, NULL::bigint AS n FROM sample
    UNION ALL SELECT subject_set_agg(m), NULL FROM (SELECT r % 40 AS r, 1 + floor(random() * 300000)::bigint AS m FROM generate_series(1, 90) AS r) AS v GROUP BY r
    UNION ALL SELECT subject_set_agg(n * 9), NULL FROM generate_series(1, 30000) AS n
    UNION ALL SELECT subject_set_agg(n * 5 + 10000), NULL FROM generate_series(1, 300) AS n
    UNION ALL SELECT '{}', 1 + floor(random() * 300000)::bigint FROM generate_series(1, 60)
    UNION ALL SELECT '{}', floor(random() * 80000)::bigint * 70 FROM generate_series(1, 20)
    UNION ALL SELECT s, -1 FROM (VALUES ('{299990-1000000}'::subject_set), ('{1-99999999}'), ('{9223372036854775807}'), ('{70,140}'), ('{71,140}')) AS v (s);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM record WHERE s @> 4711;
EXPLAIN (COSTS OFF) SELECT id FROM record WHERE 4711 <@ s;
EXPLAIN (COSTS OFF) SELECT id FROM record WHERE s @> '{4711,4712}';
EXPLAIN (COSTS OFF) SELECT id FROM record WHERE s && '{4711,4712}';
SELECT count(*) AS queries, count(*) FILTER (WHERE has.found <> '{}') AS has, count(*) FILTER (WHERE has.found IS DISTINCT FROM has.expected) AS has_wrong,
       count(*) FILTER (WHERE contains.found <> '{}') AS contains, count(*) FILTER (WHERE contains.found IS DISTINCT FROM contains.expected) AS contains_wrong,
       count(*) FILTER (WHERE overlap.found <> '{}') AS overlaps, count(*) FILTER (WHERE overlap.found IS DISTINCT FROM overlap.expected) AS overlaps_wrong
    FROM query AS q,
         LATERAL (SELECT ARRAY(SELECT id FROM record WHERE s @> q.n ORDER BY id) AS found, ARRAY(SELECT id FROM plain WHERE s @> q.n ORDER BY id) AS expected) AS has,
         LATERAL (SELECT ARRAY(SELECT id FROM record WHERE s @> q.s ORDER BY id) AS found, ARRAY(SELECT id FROM plain WHERE s @> q.s ORDER BY id) AS expected) AS contains,
         LATERAL (SELECT ARRAY(SELECT id FROM record WHERE s && q.s ORDER BY id) AS found, ARRAY(SELECT id FROM plain WHERE s && q.s ORDER BY id) AS expected) AS overlap;
CREATE INDEX plain_btree ON plain (s) WHERE id < 5;
EXPLAIN (COSTS OFF) SELECT id FROM plain WHERE id < 5 AND s = '{1}';
SELECT id FROM plain WHERE id < 5 AND s = '{1}';
RESET enable_seqscan;
SELECT relname, attname, attstorage FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attrelid IN ('record'::regclass, 'record_gin'::regclass) AND attname = 's';

-- The operator classes are complete.
SELECT opcname, amname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
    WHERE opcintype = 'subject_set'::regtype ORDER BY 1, 2;

SET client_min_messages = warning;
DROP SCHEMA subject_set_test CASCADE;
