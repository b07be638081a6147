-- privacy_guard.purpose_set: forms, operators, indexes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
CREATE SCHEMA purpose_set_test;
SET search_path = purpose_set_test, privacy_guard, public;

-- Text.
SELECT '{}'::purpose_set, ' { } '::purpose_set, 'billing'::purpose_set AS bare;
SELECT $$ { marketing.email ,billing,	marketing,
    billing, marketing_x, marketing.e1 } $$::purpose_set;
SELECT '{billing,secret!}'::purpose_set;
\set VERBOSITY sqlstate
SELECT ''::purpose_set;
SELECT '{'::purpose_set;
SELECT '{}}'::purpose_set;
SELECT '{,}'::purpose_set;
SELECT '{a,}'::purpose_set;
SELECT '{a b}'::purpose_set;
SELECT 'a,b'::purpose_set;
SELECT '{A}'::purpose_set;
SELECT '{1a}'::purpose_set;
SELECT '{a-b}'::purpose_set;
SELECT '{a..b}'::purpose_set;
SELECT '{.a}'::purpose_set;
SELECT '{a.}'::purpose_set;
SELECT '{"a"}'::purpose_set;
SELECT '{NULL}'::purpose_set;
SELECT repeat('a', 64)::purpose_set;
SELECT ('a' || repeat('.a', 16))::purpose_set;
SELECT (repeat(repeat('a', 63) || '.', 4) || 'a')::purpose_set;
\set VERBOSITY default
SELECT length((repeat(repeat('a', 63) || '.', 3) || repeat('a', 63))::purpose_set::text) AS longest,
       ('a' || repeat('.a', 15))::purpose_set AS deepest;

-- Casts.
SELECT '{b,a}'::purpose_set::jsonb, '["b", "a", "b"]'::jsonb::purpose_set, '[]'::jsonb::purpose_set, '{}'::purpose_set::jsonb;
SELECT '{b,a}'::purpose_set::text[], '{b,a,b}'::text[]::purpose_set, '{{b},{a}}'::text[]::purpose_set, '{}'::purpose_set::text[];
SELECT ARRAY['a', NULL]::purpose_set;
SELECT ARRAY['a', 'A']::purpose_set;
SELECT '"a"'::jsonb::purpose_set;
\set VERBOSITY sqlstate
SELECT '{"a": 1}'::jsonb::purpose_set;
SELECT '[1]'::jsonb::purpose_set;
SELECT '[null]'::jsonb::purpose_set;
SELECT '[["a"]]'::jsonb::purpose_set;
SELECT '["a b"]'::jsonb::purpose_set;
SELECT '[""]'::jsonb::purpose_set;
\set VERBOSITY default

-- Operators. "?" goes up the tree, the others compare members.
SELECT path, '{billing,marketing.email}'::purpose_set ? path AS covered
    FROM unnest(ARRAY['billing', 'billing.invoice.copy', 'marketing', 'marketing.email', 'marketing.email.daily',
                      'marketing.emails', 'marketing.post', 'bill', 'a']) AS path;
SELECT '{}'::purpose_set ? 'a' AS empty, '{}'::purpose_set ? NULL IS NULL AS "null";
SELECT '{a}'::purpose_set ? 'A';
SELECT '{a,b}'::purpose_set @> '{a}' AS t, '{a}'::purpose_set @> '{a,b}' AS f, '{a}'::purpose_set @> '{a.b}' AS f,
       '{a}'::purpose_set @> '{}' AS t, '{}'::purpose_set <@ '{a}' AS t, '{a,c}'::purpose_set <@ '{a,b}' AS f;
SELECT '{a,b}'::purpose_set && '{b,c}' AS t, '{a}'::purpose_set && '{a.b}' AS f, '{}'::purpose_set && '{}' AS f;
SELECT '{a,c}'::purpose_set || '{b,c}' AS "set", '{a,c}'::purpose_set || 'b' AS literal, '{a,c}'::purpose_set || 'c'::text AS typed,
       '{}'::purpose_set || '{}' AS empty;
SELECT '{a,b,c}'::purpose_set - '{b,d}' AS "set", '{a,b,c}'::purpose_set - 'b' AS literal, '{a,a.b}'::purpose_set - 'a'::text AS typed,
       '{}'::purpose_set - '{a}' AS empty;
SELECT '{a}'::purpose_set || 'B'::text;
SELECT '{a}'::purpose_set - 'B'::text;
SELECT s FROM (VALUES ('{b}'::purpose_set), ('{}'), ('{a,b}'), ('{a.b}'), ('{a}'), ('{a_}'), ('{a0}')) AS v (s) ORDER BY s;
SELECT '{a,b}'::purpose_set = '{b,a}' AS eq, '{a}'::purpose_set <> '{b}' AS ne, '{a}'::purpose_set < '{b}' AS lt,
       '{a}'::purpose_set <= '{a}' AS le, '{b}'::purpose_set > '{a,c}' AS gt, '{a}'::purpose_set >= '{a}' AS ge,
       purpose_set_hash('{a,b}') = purpose_set_hash('{b,a}') AS hash,
       purpose_set_hash_extended('{a,b}', 1) = purpose_set_hash_extended('{b,a}', 1) AS extended;

-- The aggregate.
SELECT purpose_set_agg(path) FROM (VALUES ('b'), (NULL), ('a.b'), ('b')) AS v (path);
SELECT purpose_set_agg(path) AS none FROM (VALUES (NULL::text)) AS v (path) WHERE false;
SELECT n % 2 AS odd, purpose_set_agg('p' || n) FROM generate_series(1, 6) AS n GROUP BY 1 ORDER BY 1;
SELECT purpose_set_agg('P');
DO $$
BEGIN
    PERFORM purpose_set_agg_step(NULL, 'a');
EXCEPTION WHEN undefined_function OR feature_not_supported THEN
    RAISE NOTICE 'refused'; -- how depends on the minor release
END $$;

-- Large sets: 16-bit and 32-bit offsets in the stored form, and the limit.
CREATE TABLE agreement (id int PRIMARY KEY, purposes purpose_set DEFAULT '{}');
INSERT INTO agreement VALUES (0, DEFAULT), (1, '{billing,marketing.email}'), (2, ARRAY['marketing']), (5, NULL);
INSERT INTO agreement SELECT 3, purpose_set_agg('p' || n) FROM generate_series(1, 5000) AS n;
INSERT INTO agreement SELECT 4, purpose_set_agg(repeat('long', 10) || n) FROM generate_series(1, 65535) AS n;
SELECT id, cardinality(purposes::text[]), purposes = purposes::text::purpose_set AS text, purposes = purposes::jsonb::purpose_set AS json,
       purposes ? 'p5000.x' AS p, purposes ? (repeat('long', 10) || '65535') AS long FROM agreement ORDER BY id;
SELECT purposes || 'a' FROM agreement WHERE id = 4;

-- Binary COPY, and indexes.
INSERT INTO agreement SELECT 100 + n, ARRAY['p' || n % 50, 'q.r' || n % 7] FROM generate_series(1, 2000) AS n;
CREATE FUNCTION copy_both_ways() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    file text := current_setting('data_directory') || '/copy_both_ways_' || pg_backend_pid();
BEGIN
    CREATE TABLE copied (LIKE agreement);
    EXECUTE format('COPY agreement TO %L (FORMAT binary)', file);
    EXECUTE format('COPY copied FROM PROGRAM %L (FORMAT binary)', format('cat "%1$s" && rm "%1$s"', file));
END $$;
SELECT copy_both_ways();
SELECT count(*), bool_and(copied.purposes IS NOT DISTINCT FROM agreement.purposes) AS same FROM agreement JOIN copied USING (id);
CREATE INDEX agreement_gin ON agreement USING gin (purposes);
CREATE INDEX copied_btree ON copied (purposes) WHERE id NOT IN (3, 4);
ANALYZE agreement, copied;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM agreement WHERE purposes ? 'marketing.email.daily';
SELECT id FROM agreement WHERE purposes ? 'marketing.email.daily' ORDER BY id;
SELECT id FROM agreement WHERE purposes ? 'marketing' ORDER BY id;
SELECT count(*) FROM agreement WHERE purposes ? 'q';
SELECT count(*) FROM agreement WHERE purposes ? 'q.r3.deep.down';
EXPLAIN (COSTS OFF) SELECT id FROM agreement WHERE purposes @> '{p7,q.r3}';
SELECT count(*) FROM agreement WHERE purposes @> '{p7,q.r3}';
SELECT count(*) FROM agreement WHERE purposes @> '{}';
EXPLAIN (COSTS OFF) SELECT id FROM agreement WHERE purposes && '{p7,marketing}';
SELECT count(*) FROM agreement WHERE purposes && '{p7,marketing}';
SELECT count(*) FROM agreement WHERE purposes && '{}';
EXPLAIN (COSTS OFF) SELECT id FROM copied WHERE id NOT IN (3, 4) AND purposes = '{p7,q.r3}';
SELECT count(*) FROM copied WHERE id NOT IN (3, 4) AND purposes = '{p7,q.r3}';
RESET enable_seqscan;
SELECT (SELECT count(*) FROM agreement WHERE purposes @> '{p7,q.r3}') = (SELECT count(*) FROM copied WHERE purposes @> '{p7,q.r3}') AS contains,
       (SELECT count(*) FROM agreement WHERE purposes ? 'p7.x') = (SELECT count(*) FROM copied WHERE purposes ? 'p7.x') AS covers;

-- The operator classes are complete.
SELECT opcname, amname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
    WHERE opcintype = 'purpose_set'::regtype ORDER BY 1, 2;

SET client_min_messages = warning;
DROP SCHEMA purpose_set_test CASCADE;
