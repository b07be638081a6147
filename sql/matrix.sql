-- Every command, by every kind of role, on every kind of table: exactly the permitted rows, or the
-- documented error. A table of commands (matrix.command) is run in a loop; each cell is rolled back.
-- What is expected comes from matrix.truth, which nothing of the extension has ever read or written;
-- what was changed comes from triggers, which see hidden rows too. Only mismatches are printed.
\set ECHO none
\set QUIET on
\pset format unaligned
\pset footer off
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;

CREATE ROLE matrix_app;
CREATE ROLE matrix_owner;
CREATE ROLE matrix_bypass BYPASSRLS;
CREATE ROLE matrix_super SUPERUSER;
GRANT pg_read_server_files, pg_write_server_files TO matrix_app, matrix_owner, matrix_bypass;

-- Tables and truth -------------------------------------------------------------------------------

CREATE SCHEMA matrix;
CREATE TABLE matrix.truth (subject bigint PRIMARY KEY, story text, permitted boolean);
INSERT INTO matrix.truth VALUES
    (1, 'given', true), (2, 'given explicitly', true), (3, 'renewed', true), (4, 'given, for a year', true),
    (5, 'refused', false), (6, 'given and withdrawn', false), (7, 'given, expired since', false),
    (8, 'requested', false), (9, 'withdrawn for the purpose above', false), (10, 'no decision', false),
    (11, 'implied only', false), (12, 'given for another purpose', false);

CREATE TABLE matrix.person (id bigint PRIMARY KEY);
CREATE TABLE matrix.plain (id int PRIMARY KEY, subject bigint, note text, touched int NOT NULL DEFAULT 0);
CREATE TABLE matrix.part (LIKE matrix.plain INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY RANGE (id);
-- Its columns are elsewhere than the parent's.
CREATE TABLE matrix.part_1 (touched int NOT NULL DEFAULT 0, gone int, note text, subject bigint, id int NOT NULL);
ALTER TABLE matrix.part_1 DROP COLUMN gone;
ALTER TABLE matrix.part ATTACH PARTITION matrix.part_1 FOR VALUES FROM (0) TO (100);
CREATE TABLE matrix.part_2 PARTITION OF matrix.part FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
CREATE TABLE matrix.part_2_0 PARTITION OF matrix.part_2 DEFAULT;
CREATE TABLE matrix.inh (LIKE matrix.plain INCLUDING DEFAULTS, PRIMARY KEY (id));
CREATE TABLE matrix.inh_child (more text, PRIMARY KEY (id)) INHERITS (matrix.inh);
CREATE TABLE matrix.via (id int PRIMARY KEY, subject bigint REFERENCES matrix.person, note text, touched int NOT NULL DEFAULT 0);

INSERT INTO matrix.person SELECT subject FROM matrix.truth;
INSERT INTO matrix.plain SELECT g, nullif(1 + (g - 1) % 13, 13), 'note ' || g FROM generate_series(1, 52) g;
INSERT INTO matrix.part SELECT g, nullif(1 + (g - 1) % 13, 13), 'note ' || g FROM generate_series(1, 52) g;
INSERT INTO matrix.part SELECT g, nullif(1 + (g - 1) % 13, 13), 'note ' || g FROM generate_series(101, 152) g;
INSERT INTO matrix.inh SELECT g, nullif(1 + (g - 1) % 13, 13), 'note ' || g FROM generate_series(1, 26) g;
INSERT INTO matrix.inh_child SELECT g, nullif(1 + (g - 1) % 13, 13), 'note ' || g FROM generate_series(27, 52) g;
INSERT INTO matrix.via SELECT g, nullif(1 + (g - 1) % 13, 13), 'note ' || g FROM generate_series(1, 52) g;
CREATE FUNCTION matrix.file_ids(name text) RETURNS SETOF int LANGUAGE sql SECURITY DEFINER AS
$$ SELECT id::int FROM regexp_split_to_table(pg_read_file(name), E'\n') id WHERE id <> '' $$;
CREATE TABLE matrix.sink AS SELECT id FROM generate_series(1, 200) id;

-- relation: what commands name. only_rows: COPY and ON CONFLICT leave children out.
CREATE TABLE matrix.relation (relation text PRIMARY KEY, only_rows boolean NOT NULL DEFAULT false);
INSERT INTO matrix.relation VALUES ('plain'), ('part'), ('part_1'), ('inh'), ('inh_child'), ('via');
CREATE TABLE matrix.true_row AS
    SELECT relation, id, subject, tableoid <> origin AS in_child, coalesce(permitted, false) AS permitted
      FROM (SELECT 'plain' AS relation, tableoid, 'matrix.plain'::regclass AS origin, id, subject FROM matrix.plain
            UNION ALL SELECT 'part', tableoid, 'matrix.part'::regclass, id, subject FROM matrix.part
            UNION ALL SELECT 'part_1', tableoid, tableoid, id, subject FROM matrix.part_1
            UNION ALL SELECT 'inh', tableoid, 'matrix.inh'::regclass, id, subject FROM matrix.inh
            UNION ALL SELECT 'inh_child', tableoid, tableoid, id, subject FROM matrix.inh_child
            UNION ALL SELECT 'via', tableoid, tableoid, id, subject FROM matrix.via) r
      LEFT JOIN matrix.truth USING (subject);

-- What really changed.
CREATE TABLE matrix.change (operation text, id int);
CREATE FUNCTION matrix.note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO matrix.change VALUES (tg_op, coalesce(new.id, old.id));
    RETURN NULL;
END $$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['plain', 'part', 'inh', 'inh_child', 'via'] LOOP
        EXECUTE format('CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON matrix.%I
                            FOR EACH ROW EXECUTE FUNCTION matrix.note_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['person', 'plain', 'part', 'part_1', 'part_2', 'part_2_0', 'inh', 'inh_child', 'via'] LOOP
        EXECUTE format('ALTER TABLE matrix.%I OWNER TO matrix_owner', name);
    END LOOP;
    FOR name IN SELECT relation FROM matrix.relation LOOP
        EXECUTE replace($f$
            CREATE FUNCTION matrix.REL_plpgsql() RETURNS SETOF int LANGUAGE plpgsql AS
                $q$ BEGIN RETURN QUERY SELECT id FROM matrix.REL; END $q$;
            CREATE FUNCTION matrix.REL_loop() RETURNS SETOF int LANGUAGE plpgsql AS
                $q$ DECLARE r record; BEGIN FOR r IN SELECT * FROM matrix.REL LOOP RETURN NEXT r.id; END LOOP; END $q$;
            CREATE FUNCTION matrix.REL_definer() RETURNS SETOF int LANGUAGE plpgsql SECURITY DEFINER AS
                $q$ BEGIN RETURN QUERY SELECT id FROM matrix.REL; END $q$;
            CREATE FUNCTION matrix.REL_inlined() RETURNS SETOF int LANGUAGE sql STABLE AS
                $q$ SELECT id FROM matrix.REL $q$;
            CREATE FUNCTION matrix.REL_not_inlined() RETURNS SETOF int LANGUAGE sql VOLATILE STRICT AS
                $q$ SELECT id FROM matrix.REL $q$;
            CREATE FUNCTION matrix.REL_scalar(int) RETURNS int LANGUAGE sql STABLE AS
                $q$ SELECT id FROM matrix.REL WHERE id = $1 $q$;
            CREATE FUNCTION matrix.REL_atomic() RETURNS SETOF int LANGUAGE sql STABLE
                BEGIN ATOMIC SELECT id FROM matrix.REL; END;
            CREATE FUNCTION matrix.REL_sql_update() RETURNS SETOF int LANGUAGE sql AS
                $q$ UPDATE matrix.REL SET touched = 1 RETURNING id $q$;
            ALTER FUNCTION matrix.REL_definer() OWNER TO matrix_super;
            CREATE VIEW matrix.REL_view_super AS SELECT * FROM matrix.REL;
            ALTER VIEW matrix.REL_view_super OWNER TO matrix_super;
            CREATE VIEW matrix.REL_view_app AS SELECT * FROM matrix.REL;
            ALTER VIEW matrix.REL_view_app OWNER TO matrix_app;
            CREATE VIEW matrix.REL_view_invoker WITH (security_invoker) AS SELECT * FROM matrix.REL;
            CREATE VIEW matrix.REL_view_view WITH (security_barrier) AS SELECT * FROM matrix.REL_view_super;
            ALTER VIEW matrix.REL_view_view OWNER TO matrix_super;
        $f$, 'REL', name);
    END LOOP;
END $$;
GRANT USAGE ON SCHEMA matrix TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA matrix TO matrix_app, matrix_owner, matrix_bypass, matrix_super;

-- Protection -------------------------------------------------------------------------------------

SELECT privacy_guard.create_purpose('matrix', 'consent') \g /dev/null
SELECT privacy_guard.create_purpose('matrix.mail', 'consent') \g /dev/null
SELECT privacy_guard.create_purpose('matrix_other', 'consent') \g /dev/null
SELECT privacy_guard.protect('matrix.person', subject_column => 'id', subject_category => 'matrix') \g /dev/null
SELECT privacy_guard.protect(('matrix.' || r)::regclass, subject_column => 'subject', subject_category => 'matrix')
  FROM unnest(ARRAY['plain', 'part', 'inh']) r \g /dev/null
SELECT privacy_guard.protect('matrix.via', subject_via => 'subject') \g /dev/null
SELECT privacy_guard.permit(('matrix.' || r)::regclass, p)
  FROM unnest(ARRAY['person', 'plain', 'part', 'inh', 'via']) r, unnest(ARRAY['matrix', 'matrix_other']) p \g /dev/null
SELECT privacy_guard.grant_purpose('matrix', r)
  FROM unnest(ARRAY['matrix_app', 'matrix_owner', 'matrix_bypass', 'matrix_super']::regrole[]) r \g /dev/null
SELECT privacy_guard.grant_collection(p, current_user::regrole) FROM unnest(ARRAY['matrix', 'matrix_other']) p \g /dev/null

SELECT privacy_guard.record_consent(s::text, 'matrix.mail', consent_type => t, subject_category => 'matrix', valid_for => v, event_time => now() - interval '2 days')
  FROM (VALUES (1, 'expressed', NULL::interval), (2, 'explicitly_expressed', NULL), (3, 'expressed', NULL), (4, 'expressed', '1 year'),
               (6, 'expressed', NULL), (7, 'expressed', '1 day'), (9, 'expressed', NULL), (11, 'implied', NULL)) v(s, t, v) \g /dev/null
SELECT privacy_guard.record_consent('3', 'matrix.mail', status => 'renewed', subject_category => 'matrix') \g /dev/null
SELECT privacy_guard.record_consent('5', 'matrix.mail', status => 'refused', subject_category => 'matrix') \g /dev/null
SELECT privacy_guard.record_consent('8', 'matrix.mail', status => 'requested', subject_category => 'matrix') \g /dev/null
SELECT privacy_guard.record_consent('12', p, subject_category => 'matrix') FROM unnest(ARRAY['matrix', 'matrix_other']) p \g /dev/null
SELECT privacy_guard.withdraw_consent('6', 'matrix.mail', subject_category => 'matrix') \g /dev/null
SELECT privacy_guard.withdraw_consent('9', 'matrix', subject_category => 'matrix') \g /dev/null

-- Commands ---------------------------------------------------------------------------------------
-- REL is the relation, FIRST and HIDDEN the id of a permitted and a hidden row, NEW one that does not
-- exist yet, FILE a file for COPY. The rows of the last statement have a column id.
-- expected: permitted, first, new or nothing, or an SQLSTATE.  effect: NULL, or the operation that the
-- expected rows, and no other, must have undergone.

CREATE TABLE matrix.command (
    number int GENERATED ALWAYS AS IDENTITY,
    name text PRIMARY KEY,
    statements text[] NOT NULL,
    expected text NOT NULL DEFAULT 'permitted',
    effect text,
    settings text[] NOT NULL DEFAULT '{}',
    only_rows boolean NOT NULL DEFAULT false);

INSERT INTO matrix.command (name, statements) VALUES
    ('SELECT', '{SELECT id FROM REL}'),
    ('SELECT alias.*', '{SELECT x.* FROM REL AS x}'),
    ('SELECT by primary key', '{SELECT x.id FROM generate_series(1\, 200) g JOIN REL x ON x.id = g}'),
    ('SELECT whole row', '{SELECT (x).id FROM REL x}'),
    ('SELECT as JSON', $${"SELECT (to_jsonb(x) ->> 'id')::int AS id FROM REL x"}$$),
    ('aggregate', '{SELECT unnest(array_agg(id)) AS id FROM REL}'),
    ('GROUP BY', '{SELECT id FROM REL GROUP BY id}'),
    ('DISTINCT', '{SELECT DISTINCT id FROM REL}'),
    ('window', '{SELECT first_value(id) OVER (PARTITION BY id) AS id FROM REL}'),
    ('UNION', '{SELECT id FROM REL WHERE id < 10 UNION SELECT id FROM REL WHERE id >= 10}'),
    ('EXCEPT', '{SELECT id FROM REL EXCEPT SELECT 0}'),
    ('self join', '{SELECT a.id FROM REL a JOIN REL b USING (id)}'),
    ('outer join', '{SELECT x.id FROM generate_series(1\, 200) g LEFT JOIN REL x ON x.id = g WHERE x.id IS NOT NULL}'),
    ('right join', '{SELECT g AS id FROM REL x RIGHT JOIN generate_series(1\, 200) g ON x.id = g WHERE x.note IS NOT NULL}'),
    ('EXISTS', '{SELECT g AS id FROM generate_series(1\, 200) g WHERE EXISTS (SELECT FROM REL WHERE id = g)}'),
    ('IN', '{SELECT g AS id FROM generate_series(1\, 200) g WHERE g IN (SELECT id FROM REL)}'),
    ('NOT IN', '{SELECT id FROM REL WHERE id NOT IN (SELECT 0 FROM REL)}'),
    ('scalar sublink', '{SELECT s.id FROM (SELECT (SELECT x.id FROM REL x WHERE x.id = g) AS id FROM generate_series(1\, 200) g) s WHERE id IS NOT NULL}'),
    ('array sublink', '{SELECT unnest(ARRAY(SELECT id FROM REL)) AS id}'),
    ('LATERAL', '{SELECT x.id FROM generate_series(1\, 1) g\, LATERAL (SELECT id FROM REL WHERE g = 1) x}'),
    ('CTE', '{WITH x AS (SELECT id FROM REL) SELECT id FROM x}'),
    ('CTE materialized', '{WITH x AS MATERIALIZED (SELECT * FROM REL) SELECT id FROM x}'),
    ('CTE recursive', '{WITH RECURSIVE x AS (SELECT min(id) AS id FROM REL UNION SELECT (SELECT min(r.id) FROM REL r WHERE r.id > x.id) FROM x WHERE x.id IS NOT NULL) SELECT id FROM x WHERE id IS NOT NULL}'),
    ('TABLESAMPLE bernoulli', '{SELECT id FROM REL TABLESAMPLE bernoulli (100)}'),
    ('TABLESAMPLE system', '{SELECT id FROM REL TABLESAMPLE system (100)}'),
    ('FOR UPDATE', '{SELECT id FROM REL FOR UPDATE}'),
    ('FOR SHARE SKIP LOCKED', '{SELECT id FROM REL FOR SHARE SKIP LOCKED}'),
    ('FOR KEY SHARE in a sublink', '{SELECT id FROM (SELECT * FROM REL FOR KEY SHARE) x}'),
    ('cursor', '{DECLARE c CURSOR FOR SELECT id FROM REL,FETCH ALL FROM c}'),
    ('scroll cursor', '{DECLARE c SCROLL CURSOR FOR SELECT id FROM REL,MOVE FORWARD ALL IN c,FETCH BACKWARD ALL FROM c}'),
    ('cursor FOR UPDATE', '{DECLARE c CURSOR FOR SELECT id FROM REL FOR UPDATE,FETCH ALL FROM c}'),
    ('PREPARE', '{PREPARE p AS SELECT id FROM REL WHERE id > $1,EXECUTE p(0),EXECUTE p(0),EXECUTE p(0),EXECUTE p(0),EXECUTE p(0),EXECUTE p(0),EXECUTE p(0)}'),
    ('PL/pgSQL', '{SELECT REL_plpgsql() AS id}'),
    ('PL/pgSQL loop', '{SELECT REL_loop() AS id}'),
    ('PL/pgSQL, again and again', '{SELECT x.id FROM generate_series(1\, 7) g\, REL_plpgsql() x(id) GROUP BY x.id}'),
    ('DO', '{DO $$BEGIN PERFORM id FROM REL; END$$,SELECT id FROM REL}'),
    ('SECURITY DEFINER of a superuser', '{SELECT REL_definer() AS id}'),
    ('SQL function, inlined', '{SELECT x AS id FROM REL_inlined() x}'),
    ('SQL function, inlined in a join', '{SELECT x AS id FROM generate_series(1\, 200) g JOIN REL_inlined() x ON x = g}'),
    ('SQL function, not inlined', '{SELECT REL_not_inlined() AS id}'),
    ('SQL function, scalar', '{SELECT id FROM (SELECT REL_scalar(g) AS id FROM generate_series(1\, 200) g) x WHERE id IS NOT NULL}'),
    ('SQL function, BEGIN ATOMIC', '{SELECT x AS id FROM REL_atomic() x}'),
    ('view of a superuser', '{SELECT id FROM REL_view_super}'),
    ('view of the application', '{SELECT id FROM REL_view_app}'),
    ('view with security_invoker', '{SELECT id FROM REL_view_invoker}'),
    ('view of a view, security_barrier', '{SELECT id FROM REL_view_view}'),
    ('view FOR UPDATE', '{SELECT id FROM REL_view_super FOR UPDATE}'),
    ('COPY query TO', $${"COPY (SELECT id FROM REL) TO 'FILE'","SELECT matrix.file_ids('FILE') AS id"}$$);

INSERT INTO matrix.command (name, statements, settings) VALUES
    ('generic plan', '{PREPARE p AS SELECT id FROM REL WHERE id > $1,EXECUTE p(0)}', '{plan_cache_mode=force_generic_plan}'),
    ('index scan', '{SELECT id FROM REL WHERE id > 0 AND note IS NOT NULL}', '{enable_seqscan=off,enable_bitmapscan=off}'),
    ('index-only scan', '{SELECT id FROM REL WHERE id > 0}', '{enable_seqscan=off,enable_bitmapscan=off}'),
    ('bitmap scan', '{SELECT id FROM REL WHERE id > 0 OR id < -5}', '{enable_seqscan=off,enable_indexscan=off,enable_indexonlyscan=off}'),
    ('tid range scan', $${"SELECT id FROM REL WHERE ctid >= '(0,0)'"}$$, '{enable_seqscan=off}'),
    ('tid scan', $${"SELECT id FROM REL WHERE ctid = ANY (ARRAY(SELECT format('(0,%s)', g)::tid FROM generate_series(1, 200) g))"}$$, '{enable_seqscan=off}'),
    ('ordered by index', '{SELECT id FROM REL ORDER BY id DESC}', '{enable_seqscan=off,enable_sort=off}'),
    ('merge join', '{SELECT a.id FROM REL a JOIN REL b USING (id)}', '{enable_hashjoin=off,enable_nestloop=off}'),
    ('nested loop', '{SELECT a.id FROM REL a JOIN REL b USING (id)}', '{enable_hashjoin=off,enable_mergejoin=off}');

-- force_parallel_mode was renamed in PostgreSQL 16; the costs alone bring about a parallel plan.
INSERT INTO matrix.command (name, statements, settings)
SELECT name, statements,
       '{parallel_setup_cost=0,parallel_tuple_cost=0,min_parallel_table_scan_size=0,min_parallel_index_scan_size=0,max_parallel_workers_per_gather=2}'
  FROM (VALUES ('parallel scan', '{SELECT array_agg(id) AS ids FROM REL}'::text[]),
               ('parallel join', '{SELECT array_agg(a.id) AS ids FROM REL a JOIN REL b USING (id)}'),
               ('parallel through a view', '{SELECT array_agg(id) AS ids FROM REL_view_super}')) v(name, statements);

INSERT INTO matrix.command (name, statements, effect) VALUES
    ('UPDATE', '{UPDATE REL SET touched = 1}', 'UPDATE'),
    ('UPDATE RETURNING', '{UPDATE REL SET touched = 1 RETURNING id}', 'UPDATE'),
    ('UPDATE FROM', '{UPDATE REL x SET touched = 1 FROM matrix.sink s WHERE s.id = x.id RETURNING x.id}', 'UPDATE'),
    ('UPDATE with a sublink', '{UPDATE REL SET touched = (SELECT 1) WHERE id IN (SELECT id FROM REL) RETURNING id}', 'UPDATE'),
    ('UPDATE in a CTE', '{WITH x AS (UPDATE REL SET touched = 1 RETURNING id) SELECT id FROM x}', 'UPDATE'),
    ('UPDATE of the subject by another permitted one', '{UPDATE REL SET subject = 5 - subject RETURNING id}', 'UPDATE'),
    ('UPDATE in an SQL function', '{SELECT REL_sql_update() AS id}', 'UPDATE'),
    ('UPDATE prepared', '{PREPARE p AS UPDATE REL SET touched = $1,EXECUTE p(1)}', 'UPDATE'),
    ('UPDATE of a view of a superuser', '{UPDATE REL_view_super SET touched = 1 RETURNING id}', 'UPDATE'),
    ('UPDATE of a view of a view', '{UPDATE REL_view_view SET touched = 1 RETURNING id}', 'UPDATE'),
    ('DELETE', '{DELETE FROM REL}', 'DELETE'),
    ('DELETE RETURNING', '{DELETE FROM REL RETURNING id}', 'DELETE'),
    ('DELETE USING', '{DELETE FROM REL x USING matrix.sink s WHERE s.id = x.id RETURNING x.id}', 'DELETE'),
    ('DELETE of a view of the application', '{DELETE FROM REL_view_app RETURNING id}', 'DELETE'),
    ('MERGE UPDATE', '{MERGE INTO REL x USING matrix.sink s ON s.id = x.id WHEN MATCHED THEN UPDATE SET touched = 1}', 'UPDATE'),
    ('MERGE DELETE', '{MERGE INTO REL x USING matrix.sink s ON s.id = x.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING}', 'DELETE');

INSERT INTO matrix.command (name, statements, expected, effect) VALUES
    ('reading in UPDATE of another table', '{UPDATE matrix.sink s SET id = s.id FROM REL x WHERE x.id = s.id RETURNING s.id}', 'permitted', NULL),
    ('reading in DELETE of another table', '{DELETE FROM matrix.sink s WHERE EXISTS (SELECT FROM REL x WHERE x.id = s.id) RETURNING s.id}', 'permitted', NULL),
    ('reading in MERGE into another table', '{MERGE INTO matrix.sink s USING REL x ON x.id = s.id WHEN MATCHED THEN DELETE,SELECT g AS id FROM generate_series(1\, 200) g WHERE g NOT IN (SELECT id FROM matrix.sink)}', 'permitted', NULL),
    ('writing what was read into another table', '{UPDATE matrix.sink s SET id = x.subject FROM REL x WHERE x.id = s.id RETURNING s.id}', '42501', NULL),
    ('writing what was read by MERGE', '{MERGE INTO matrix.sink s USING REL x ON x.id = -s.id WHEN NOT MATCHED THEN INSERT VALUES (x.id)}', '42501', NULL),
    ('INSERT SELECT into another table', '{INSERT INTO matrix.sink SELECT id FROM REL RETURNING id}', '42501', NULL),
    ('CREATE TABLE AS', '{CREATE TABLE matrix.copy AS SELECT id FROM REL}', '42501', NULL),
    ('CREATE TEMPORARY TABLE AS', '{CREATE TEMPORARY TABLE matrix_copy ON COMMIT DROP AS SELECT id FROM REL,SELECT id FROM matrix_copy}', 'permitted', NULL),
    ('WHERE CURRENT OF', '{DECLARE c CURSOR FOR SELECT * FROM REL WHERE id + 0 = FIRST FOR UPDATE,FETCH c,UPDATE REL SET touched = 1 WHERE CURRENT OF c RETURNING id}', 'first', 'UPDATE'),
    ('INSERT', '{INSERT INTO REL (id\, subject) VALUES (NEW\, 1)}', 'new', 'INSERT'),
    ('INSERT RETURNING', '{INSERT INTO REL (id\, subject) VALUES (NEW\, 1) RETURNING id}', 'new', 'INSERT'),
    ('INSERT SELECT', '{INSERT INTO REL (id\, subject) SELECT NEW\, subject FROM REL WHERE id = FIRST RETURNING id}', 'new', 'INSERT'),
    ('INSERT SELECT of a hidden row', '{INSERT INTO REL (id\, subject) SELECT NEW\, subject FROM REL WHERE id = HIDDEN RETURNING id}', 'nothing', NULL),
    ('INSERT into a view', '{INSERT INTO REL_view_super (id\, subject) VALUES (NEW\, 2) RETURNING id}', 'new', 'INSERT'),
    ('INSERT, forbidden subject', '{INSERT INTO REL (id\, subject) VALUES (NEW\, 5)}', '42501', NULL),
    ('INSERT, one of two forbidden', '{INSERT INTO REL (id\, subject) VALUES (NEW\, 1)\, (NEW - 1\, 6)}', '42501', NULL),
    ('INSERT, no subject', '{INSERT INTO REL (id) VALUES (NEW)}', '42501', NULL),
    ('INSERT, no decision', '{INSERT INTO REL (id\, subject) VALUES (NEW\, 10)}', '42501', NULL),
    ('INSERT into a view, forbidden subject', '{INSERT INTO REL_view_super (id\, subject) VALUES (NEW\, 5)}', '42501', NULL),
    ('UPDATE to a forbidden subject', '{UPDATE REL SET subject = 5 WHERE id = FIRST}', '42501', NULL),
    ('UPDATE to no subject', '{UPDATE REL SET subject = NULL WHERE id = FIRST}', '42501', NULL),
    ('UPDATE of a hidden row', '{UPDATE REL SET touched = 1\, subject = 1 WHERE id = HIDDEN RETURNING id}', 'nothing', 'UPDATE'),
    ('DELETE of a hidden row', '{DELETE FROM REL WHERE id = HIDDEN RETURNING id}', 'nothing', 'DELETE'),
    ('MERGE INSERT', '{MERGE INTO REL x USING (SELECT NEW AS id) s ON s.id = x.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id\, subject) VALUES (s.id\, 1)}', 'new', 'INSERT'),
    ('MERGE INSERT, forbidden subject', '{MERGE INTO REL x USING (SELECT NEW AS id) s ON s.id = x.id WHEN NOT MATCHED THEN INSERT (id\, subject) VALUES (s.id\, 7)}', '42501', NULL),
    ('MERGE UPDATE to a forbidden subject', '{MERGE INTO REL x USING (SELECT FIRST AS id) s ON s.id = x.id WHEN MATCHED THEN UPDATE SET subject = 8}', '42501', NULL);

INSERT INTO matrix.command (name, statements, expected, effect, only_rows) VALUES
    ('SELECT FROM ONLY', '{SELECT id FROM ONLY REL}', 'permitted', NULL, true),
    ('UPDATE ONLY', '{UPDATE ONLY REL SET touched = 1 RETURNING id}', 'permitted', 'UPDATE', true),
    ('ON CONFLICT DO UPDATE', '{INSERT INTO REL (id\, subject) VALUES (FIRST\, 1) ON CONFLICT (id) DO UPDATE SET touched = 1 RETURNING id}', 'first', 'UPDATE', true),
    ('ON CONFLICT DO UPDATE, new row', '{INSERT INTO REL (id\, subject) VALUES (NEW\, 1) ON CONFLICT (id) DO UPDATE SET touched = 1 RETURNING id}', 'new', 'INSERT', true),
    ('ON CONFLICT DO UPDATE, hidden row', '{INSERT INTO REL (id\, subject) VALUES (HIDDEN\, 1) ON CONFLICT (id) DO UPDATE SET touched = 1 RETURNING id}', '42501', NULL, true),
    ('ON CONFLICT DO UPDATE to a forbidden subject', '{INSERT INTO REL (id\, subject) VALUES (FIRST\, 1) ON CONFLICT (id) DO UPDATE SET subject = 5}', '42501', NULL, true),
    ('ON CONFLICT DO NOTHING', '{INSERT INTO REL (id\, subject) VALUES (NEW\, 1) ON CONFLICT DO NOTHING RETURNING id}', 'new', 'INSERT', true),
    ('ON CONFLICT DO NOTHING, hidden row', '{INSERT INTO REL (id\, subject) VALUES (HIDDEN\, 1) ON CONFLICT DO NOTHING RETURNING id}', 'nothing', 'INSERT', true),
    ('ON CONFLICT DO NOTHING, forbidden subject', '{INSERT INTO REL (id\, subject) VALUES (NEW\, 5) ON CONFLICT DO NOTHING RETURNING id}', '42501', NULL, true),
    ('COPY TO', $${"COPY REL (id) TO 'FILE'","SELECT matrix.file_ids('FILE') AS id"}$$, 'permitted', NULL, true),
    ('COPY FROM', $${"COPY (SELECT NEW, 1) TO 'FILE'","COPY REL (id, subject) FROM 'FILE'"}$$, 'new', 'INSERT', false),
    ('COPY FROM, forbidden subject', $${"COPY (SELECT NEW, 5) TO 'FILE'","COPY REL (id, subject) FROM 'FILE'"}$$, '42501', NULL, false),
    ('COPY FROM, one of many forbidden', $${"COPY (SELECT NEW - g, 1 FROM generate_series(0, 20) g UNION ALL SELECT NEW - 21, 5) TO 'FILE'","COPY REL (id, subject) FROM 'FILE'"}$$, '42501', NULL, false);

-- Who changes a table must hear of rows that were passed over, if he asked for it.
INSERT INTO matrix.command (name, statements, expected, settings) VALUES
    ('UPDATE, on_withheld = error', '{UPDATE REL SET touched = 1}', '42501', '{privacy_guard.on_withheld=error}'),
    ('DELETE, on_withheld = error', '{DELETE FROM REL}', '42501', '{privacy_guard.on_withheld=error}');

-- The loop ---------------------------------------------------------------------------------------

CREATE FUNCTION matrix.expectation(command matrix.command, rel text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE command.expected
        WHEN 'permitted' THEN coalesce(array_agg(id ORDER BY id) FILTER (WHERE permitted AND NOT (command.only_rows AND in_child)), '{}')::text
        WHEN 'first' THEN array[min(id) FILTER (WHERE permitted)]::text
        WHEN 'new' THEN '{99}'
        WHEN 'nothing' THEN '{}'
        ELSE command.expected END
      FROM matrix.true_row r WHERE r.relation = rel $$;

CREATE FUNCTION matrix.sorted(int[]) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(array_agg(i ORDER BY i), '{}')::text FROM unnest($1) i $$;

-- Ends in an error 'UNDO0', so that nothing of it stays.
CREATE FUNCTION matrix.attempt(command matrix.command, role text, rel text, settings text[], OUT got text)
    LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    statements text[];
    setting text;
    ids int[] := '{}';
    changed int[];
    r record;
    first int := (SELECT min(id) FROM matrix.true_row t WHERE t.relation = rel AND t.permitted);
    hidden int := (SELECT min(id) FROM matrix.true_row t WHERE t.relation = rel AND NOT t.permitted);
BEGIN
    FOREACH statement IN ARRAY command.statements LOOP
        statement := regexp_replace(statement, '\mREL', 'matrix.' || rel, 'g');
        statement := regexp_replace(statement, '\mFIRST\M', first::text, 'g');
        statement := regexp_replace(statement, '\mHIDDEN\M', hidden::text, 'g');
        statement := regexp_replace(statement, '\mNEW\M', '99', 'g');
        statements := statements || regexp_replace(statement, '\mFILE\M', current_setting('matrix.file'), 'g');
    END LOOP;
    PERFORM set_config('role', role, true);
    FOREACH setting IN ARRAY settings || command.settings LOOP
        PERFORM set_config(split_part(setting, '=', 1), split_part(setting, '=', 2), true);
    END LOOP;
    BEGIN
        FOR i IN 1 .. cardinality(statements) LOOP
            IF i < cardinality(statements) OR (statements[i] !~ '^(SELECT|WITH|FETCH)|RETURNING' AND
                                           (statements[i] !~ '^EXECUTE' OR command.effect IS NOT NULL)) THEN
                EXECUTE statements[i];
            ELSIF statements[i] ~ ' AS ids ' THEN
                EXECUTE statements[i] INTO ids;
            ELSE
                FOR r IN EXECUTE statements[i] LOOP
                    ids := ids || r.id;
                END LOOP;
            END IF;
        END LOOP;
        PERFORM set_config('role', 'none', true);
        changed := ARRAY(SELECT c.id FROM matrix.change c WHERE c.operation = coalesce(command.effect, c.operation));
        got := CASE WHEN command.effect IS NULL OR statements[cardinality(statements)] ~ '^SELECT|RETURNING'
                    THEN matrix.sorted(ids) ELSE matrix.sorted(changed) END;
        IF matrix.sorted(changed) <> got AND command.effect IS NOT NULL THEN
            got := got || ', changed ' || matrix.sorted(changed);
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'UNDO0';
    EXCEPTION WHEN OTHERS THEN
        IF sqlstate <> 'UNDO0' THEN
            got := sqlstate;
            PERFORM set_config('matrix.message', sqlerrm, false);
        END IF;
    END;
    PERFORM set_config('role', 'none', true);
    DEALLOCATE ALL;
END $$;

CREATE TABLE matrix.result (pass text, command text, role text, relation text, expected text, got text, message text);

-- refusal NULL: by the table of commands; else every cell ends in this SQLSTATE.
CREATE PROCEDURE matrix.run(pass text, refusal text, settings text[]) LANGUAGE plpgsql AS $$
DECLARE
    command matrix.command;
    rel text;
    role text;
    expected text;
    got text;
BEGIN
    FOR command IN SELECT * FROM matrix.command ORDER BY number LOOP
        FOR rel IN SELECT relation FROM matrix.relation LOOP
            expected := CASE WHEN command.name = 'COPY TO' AND rel = 'part' THEN '42809' -- as core says
                             ELSE coalesce(refusal, matrix.expectation(command, rel)) END;
            FOREACH role IN ARRAY ARRAY['matrix_app', 'matrix_owner', 'matrix_bypass', 'matrix_super'] LOOP
                PERFORM set_config('matrix.message', '', false);
                got := matrix.attempt(command, role, rel, settings || 'privacy_guard.on_withheld=silent'::text);
                INSERT INTO matrix.result VALUES (pass, command.name, role, rel, expected, got, current_setting('matrix.message'));
            END LOOP;
        END LOOP;
        COMMIT;
    END LOOP;
END $$;

SELECT set_config('matrix.file', current_setting('data_directory') || '/matrix.copy', false) \g /dev/null
CALL matrix.run('entitled', NULL, '{privacy_guard.purpose=matrix.mail}');
CALL matrix.run('no purpose', '42501', '{privacy_guard.purpose=}');
CALL matrix.run('unknown purpose', '42704', '{privacy_guard.purpose=matrix_typo}');
CALL matrix.run('row_security off', '42501', '{privacy_guard.purpose=matrix.mail,row_security=off}');
CALL matrix.run('not entitled', '42501', '{privacy_guard.purpose=matrix_other}');
SELECT privacy_guard.prohibit(r, 'matrix.mail') FROM unnest(ARRAY['matrix.person', 'matrix.plain', 'matrix.part', 'matrix.inh', 'matrix.via']::regclass[]) r \g /dev/null
CALL matrix.run('prohibited', '42501', '{privacy_guard.purpose=matrix.mail}');

-- Did the parallel cells run in parallel?
SET ROLE matrix_super;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE FUNCTION matrix.parallel_plan() RETURNS SETOF text LANGUAGE plpgsql AS
$$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) SELECT id FROM matrix.plain'; END $$;

SELECT bool_or(line LIKE '%Parallel Seq Scan on plain') AS parallel FROM matrix.parallel_plan() line;
RESET ALL;
RESET ROLE;


\echo -- cells
SELECT pass, count(*) AS cells, count(*) FILTER (WHERE got IS DISTINCT FROM expected) AS mismatches
  FROM matrix.result GROUP BY pass ORDER BY min(ctid);
\echo -- mismatches
SELECT pass, command, string_agg(DISTINCT role, ' ') AS roles, string_agg(DISTINCT relation, ' ') AS relations, expected, got, message
  FROM matrix.result WHERE got IS DISTINCT FROM expected
 GROUP BY pass, command, expected, got, message ORDER BY 1, 2, 3, 4;

SELECT privacy_guard.unprotect(r) FROM unnest(ARRAY['matrix.via', 'matrix.person', 'matrix.plain', 'matrix.part', 'matrix.inh']::regclass[]) WITH ORDINALITY u(r, n) ORDER BY n \g /dev/null
SET client_min_messages = error;
SELECT privacy_guard.revoke_purpose('matrix', r)
  FROM unnest(ARRAY['matrix_app', 'matrix_owner', 'matrix_bypass', 'matrix_super']::regrole[]) r \g /dev/null
DROP SCHEMA matrix CASCADE;
DROP OWNED BY matrix_app, matrix_owner, matrix_bypass;
DROP ROLE matrix_app, matrix_owner, matrix_bypass, matrix_super;
