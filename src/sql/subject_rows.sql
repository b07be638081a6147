-- Finding and erasing one person's rows in all guarded tables, for erase_subject().

CREATE FUNCTION privacy_guard_internal.begin_erasing(category_id integer, canonical text) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'erasing_begin';
COMMENT ON FUNCTION privacy_guard_internal.begin_erasing(integer, text) IS
    'Until the end of the transaction nobody else erases this data subject or adds rows of his to guarded tables.';

CREATE FUNCTION privacy_guard_internal.await_writers(relations regclass[]) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'erasing_await_writers';
COMMENT ON FUNCTION privacy_guard_internal.await_writers(regclass[]) IS
    'Waits for the transactions that are writing into these tables or their children.';

CREATE FUNCTION privacy_guard_internal.make_constraints_immediate() RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'own_statement_immediate';
COMMENT ON FUNCTION privacy_guard_internal.make_constraints_immediate() IS
    'Has deferred constraints checked now and, until the end of the transaction, at once: what refuses at the commit could not be reported. Triggers that the invoker''s transaction has deferred run as the invoker.';

-- ---- the tables and their order ----

CREATE FUNCTION privacy_guard_internal.guarded_references(
    OUT child regclass, OUT child_columns name[], OUT parent regclass, OUT parent_columns name[], OUT on_delete "char")
    RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.root, (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY AS k (number, place)
                      JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number),
           p.root, (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(f.confkey) WITH ORDINALITY AS k (number, place)
                      JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.number),
           f.confdeltype
      FROM pg_constraint f
      JOIN (SELECT g.relation, g.relation AS root FROM privacy_guard.guarded_table g
            UNION SELECT k.relation, k.root FROM privacy_guard.guarded_child k) c ON c.relation = f.conrelid
      JOIN (SELECT g.relation, g.relation AS root FROM privacy_guard.guarded_table g
            UNION SELECT k.relation, k.root FROM privacy_guard.guarded_child k) p ON p.relation = f.confrelid
     WHERE f.contype = 'f' AND f.conparentid = 0 $$;
COMMENT ON FUNCTION privacy_guard_internal.guarded_references() IS
    'The foreign keys from guarded tables to guarded tables.';

CREATE FUNCTION privacy_guard_internal.tables_of_category(category_id integer) RETURNS regclass[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    remaining regclass[] := ARRAY(SELECT g.relation FROM privacy_guard.guarded_table g
                                   WHERE g.category_id = tables_of_category.category_id ORDER BY g.relation::oid);
    ordered regclass[] := '{}';
    ready regclass[];
BEGIN
    WHILE cardinality(remaining) > 0 LOOP
        ready := ARRAY(SELECT r FROM unnest(remaining) r WHERE NOT EXISTS (
            SELECT FROM privacy_guard_internal.guarded_references() f
             WHERE f.child = r AND f.parent <> r AND f.parent = ANY (remaining)));
        -- In a circle only the way to the data subject gives an order.
        IF ready = '{}' THEN
            ready := (ARRAY(SELECT r FROM unnest(remaining) r JOIN privacy_guard.guarded_table g ON g.relation = r
                             ORDER BY g.subject_via IS NOT NULL))[1:1];
        END IF;
        ordered := ordered || ready;
        remaining := ARRAY(SELECT r FROM unnest(remaining) r WHERE r <> ALL (ready) ORDER BY r::oid);
    END LOOP;
    RETURN ordered;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.tables_of_category(integer) IS
    'The guarded tables of a category, each after those that it references.';

-- ---- what the rules say of a table ----

CREATE FUNCTION privacy_guard_internal.legal_minimum(guarded privacy_guard.guarded_table, at timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(privacy_guard_internal.duration_safe_cutoff(at, r.period))
      FROM privacy_guard.purpose p
     CROSS JOIN LATERAL (
           SELECT r.period FROM privacy_guard.retention r
            WHERE r.relation = guarded.relation AND r.period IS NOT NULL AND privacy_guard.covers(r.purpose, p.path)
            ORDER BY length(r.purpose) DESC LIMIT 1) r
     WHERE coalesce((privacy_guard_internal.explain_rule(guarded, p, NULL)).basis, p.legal_basis) = 'legal_obligation' $$;
COMMENT ON FUNCTION privacy_guard_internal.legal_minimum(privacy_guard.guarded_table, timestamptz) IS
    'A row that began later must be kept by law: the longest of the durations of purposes that rest on legal obligation; null without one.';

-- ---- finding rows ----

CREATE TYPE privacy_guard_internal.found_row AS (
    relation regclass, part oid, place text, others text[], keys jsonb, verdict text);
COMMENT ON TYPE privacy_guard_internal.found_row IS
    'A locked row of a data subject: where it is, its other data subjects, the columns that foreign keys reference, and what becomes of it (erase, sever, or the cause that keeps it).';

CREATE FUNCTION privacy_guard_internal.start_is_after(guarded privacy_guard.guarded_table, cutoff timestamptz) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN cutoff IS NULL OR guarded.retention_start IS NULL THEN 'false'
        WHEN privacy_guard_internal.column_type(guarded.relation, guarded.retention_start) = 'timestamptz'::regtype
            THEN format('(t.%1$I IS NULL OR t.%1$I > $2::timestamptz)', guarded.retention_start)
        ELSE format('(t.%1$I IS NULL OR t.%1$I::timestamp AT TIME ZONE ''UTC'' > $2::timestamptz)', guarded.retention_start)
    END $$;
COMMENT ON FUNCTION privacy_guard_internal.start_is_after(privacy_guard.guarded_table, timestamptz) IS
    'The condition that a row t must still be kept by law, with the cutoff as $2.';

-- A key of text is compared by its bytes, as the guard does, whatever the column's collation takes for equal.
CREATE FUNCTION privacy_guard_internal.is_subject(subject_column name, key_type regtype) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(CASE WHEN key_type = 'text'::regtype THEN '(t.%1$I = $1 AND t.%1$I::text COLLATE "C" = $1)'
                       ELSE 't.%1$I = $1::%2$s' END, subject_column, key_type) $$;
COMMENT ON FUNCTION privacy_guard_internal.is_subject(name, regtype) IS
    'The condition that a column of a row t names the data subject, with the key as $1.';

CREATE FUNCTION privacy_guard_internal.find_statement(
    guarded privacy_guard.guarded_table, key_type regtype, cutoff timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    via record;
    source text;
    keys text;
BEGIN
    SELECT string_agg(DISTINCT format('%L, t.%I::text', k, k), ', ') INTO keys
      FROM privacy_guard_internal.guarded_references() f CROSS JOIN unnest(f.parent_columns) k
     WHERE f.parent = guarded.relation;
    IF guarded.subject_via IS NULL THEN
        source := format('%s t WHERE %s', guarded.relation, (
            SELECT string_agg(privacy_guard_internal.is_subject(c, key_type), ' OR ') FROM unnest(guarded.subject_columns) c));
    ELSE
        via := privacy_guard_internal.via_reference(guarded.relation, guarded.subject_via);
        source := format('(SELECT DISTINCT w.key FROM jsonb_array_elements_text($1::jsonb) AS w (key)) p JOIN %s t ON t.%I = p.key::%s',
                         guarded.relation, guarded.subject_via,
                         privacy_guard_internal.column_type(via.parent, via.parent_column));
    END IF;
    RETURN format('WITH found AS (SELECT t.tableoid AS part, t.ctid AS place, %s AS by_law, ARRAY[%s]::text[] AS subjects,'
                  ' jsonb_build_object(%s) AS keys FROM %s FOR UPDATE OF t)'
                  ' SELECT coalesce(jsonb_agg(jsonb_build_array(f.part, f.place, f.by_law, f.subjects, f.keys)), ''[]'') FROM found f',
        privacy_guard_internal.start_is_after(guarded, cutoff),
        (SELECT string_agg(format('t.%I::text', c), ', ') FROM unnest(guarded.subject_columns) c), keys, source);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.find_statement(privacy_guard.guarded_table, regtype, timestamptz) IS
    'What finds and locks a data subject''s rows, as one jsonb. $1: the key, or an array of what subject_via may hold; $2: the legal minimum''s cutoff.';

CREATE FUNCTION privacy_guard_internal.is_held(subject bigint, relation regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM privacy_guard.hold h
                    WHERE (h.subject = is_held.subject OR h.subject IS NULL)
                      AND (h.relation = is_held.relation OR h.relation IS NULL)) $$;
COMMENT ON FUNCTION privacy_guard_internal.is_held(bigint, regclass) IS
    'Whether a legal hold keeps the rows of a data subject in a table; relation NULL: in every table.';

-- Who else is in the rows may keep them.
CREATE FUNCTION privacy_guard_internal.other_obstacles(
    category privacy_guard.subject_category, relation regclass, others text[]) RETURNS TABLE (key text, obstacle text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.key, CASE WHEN privacy_guard_internal.is_held(s.subject, other_obstacles.relation) THEN 'hold' ELSE 'restricted' END
      FROM (SELECT s.* FROM privacy_guard.subject_state s
             WHERE category.key_type = 'bigint'::regtype AND s.category_id = category.category_id
               AND s.key_int = ANY (CASE WHEN category.key_type = 'bigint'::regtype THEN others::bigint[] END)
            UNION ALL
            SELECT s.* FROM privacy_guard.subject_state s
             WHERE category.key_type <> 'bigint'::regtype AND s.category_id = category.category_id
               AND s.key = ANY (others) AND s.key_int IS NULL) s
     WHERE s.restricted OR privacy_guard_internal.is_held(s.subject, other_obstacles.relation) $$;
COMMENT ON FUNCTION privacy_guard_internal.other_obstacles(privacy_guard.subject_category, regclass, text[]) IS
    'Those of some data subjects who are under a hold or restricted, so that their rows stay as they are.';

CREATE FUNCTION privacy_guard_internal.find_rows(
    guarded privacy_guard.guarded_table, state privacy_guard.subject_state, category privacy_guard.subject_category,
    located privacy_guard_internal.found_row[]) RETURNS privacy_guard_internal.found_row[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cutoff timestamptz := privacy_guard_internal.legal_minimum(guarded, clock_timestamp());
    held boolean := privacy_guard_internal.is_held(state.subject, guarded.relation);
    via record;
    sought text := state.key;
    rows jsonb;
    obstacles jsonb;
BEGIN
    IF guarded.subject_via IS NOT NULL THEN
        via := privacy_guard_internal.via_reference(guarded.relation, guarded.subject_via);
        -- Through a row that it shares with others, a row is theirs, too.
        sought := coalesce((SELECT jsonb_agg(DISTINCT f.keys -> via.parent_column) FROM unnest(located) f
                             WHERE f.relation = via.parent AND f.others = '{}')::text, '[]');
    END IF;
    rows := privacy_guard_internal.run_as_owner(guarded.relation,
        privacy_guard_internal.find_statement(guarded, category.key_type, cutoff), sought, coalesce(cutoff::text, ''));
    SELECT coalesce(jsonb_object_agg(o.key, o.obstacle), '{}') INTO obstacles
      FROM privacy_guard_internal.other_obstacles(category, guarded.relation, ARRAY(
           SELECT DISTINCT s FROM jsonb_array_elements(rows) r CROSS JOIN jsonb_array_elements_text(r -> 3) s
            WHERE s COLLATE "C" <> state.key)) o;
    RETURN ARRAY(
        SELECT ROW(guarded.relation, (r ->> 0)::oid, r ->> 1, o.others, r -> 4, CASE
                   WHEN held OR EXISTS (SELECT FROM unnest(o.others) k WHERE obstacles ->> k = 'hold') THEN 'hold'
                   WHEN EXISTS (SELECT FROM unnest(o.others) k WHERE obstacles ? k) THEN 'restricted'
                   WHEN (r ->> 2)::boolean THEN 'legal_obligation'
                   WHEN o.others <> '{}' THEN 'sever'
                   ELSE 'erase' END)::privacy_guard_internal.found_row
          FROM jsonb_array_elements(rows) r
         CROSS JOIN LATERAL (
               SELECT ARRAY(SELECT DISTINCT s FROM jsonb_array_elements_text(r -> 3) s WHERE s COLLATE "C" <> state.key) AS others) o);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.find_rows(
    privacy_guard.guarded_table, privacy_guard.subject_state, privacy_guard.subject_category, privacy_guard_internal.found_row[]) IS
    'Locks the rows of a data subject in a table, and decides about each. located: those of the tables that it references.';

-- ---- erasing rows ----

-- A row by which others that stay are found, or with which they would go, has to stay.
CREATE FUNCTION privacy_guard_internal.still_referenced(
    rows privacy_guard_internal.found_row[], deletes boolean, OUT part oid, OUT place text, OUT blocker text)
    RETURNS SETOF record
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reference record;
    referenced jsonb;
BEGIN
    FOR reference IN
        SELECT f.*, (SELECT string_agg(format('t.%I = (wanted.key ->> %s)::%s', c.name, c.place - 1,
                                              privacy_guard_internal.column_type(f.parent, f.parent_columns[c.place::integer])), ' AND ')
                       FROM unnest(f.child_columns) WITH ORDINALITY AS c (name, place)) AS condition
          FROM privacy_guard_internal.guarded_references() f
          JOIN privacy_guard.guarded_table g ON g.relation = f.child
         WHERE f.parent = (rows[1]).relation
           AND (deletes AND (f.on_delete = 'c' OR f.child_columns && g.subject_columns)
                OR g.subject_via = ANY (f.child_columns))
    LOOP
        referenced := privacy_guard_internal.run_as_owner(reference.child,
            format('SELECT coalesce(jsonb_agg(DISTINCT wanted.key), ''[]'') FROM jsonb_array_elements($1::jsonb) AS wanted (key)'
                   ' JOIN %s t ON %s WHERE (t.tableoid, t.ctid) NOT IN ('
                   ' SELECT (gone.row ->> 0)::oid, (gone.row ->> 1)::tid FROM jsonb_array_elements($2::jsonb) AS gone (row))',
                   reference.child, reference.condition),
            (SELECT jsonb_agg(DISTINCT k.key) FROM unnest(rows) r
              CROSS JOIN LATERAL (SELECT jsonb_agg(r.keys -> c.name ORDER BY c.place) AS key
                                    FROM unnest(reference.parent_columns) WITH ORDINALITY AS c (name, place)) k)::text,
            CASE WHEN reference.child = reference.parent
                 THEN (SELECT jsonb_agg(jsonb_build_array(r.part, r.place)) FROM unnest(rows) r)::text ELSE '[]' END);
        RETURN QUERY
            SELECT r.part, r.place, reference.child::text
              FROM (SELECT r.part, r.place, (SELECT jsonb_agg(r.keys -> c.name ORDER BY c.place)
                             FROM unnest(reference.parent_columns) WITH ORDINALITY AS c (name, place)) AS key
                      FROM unnest(rows) r) r
              JOIN jsonb_array_elements(referenced) k ON k = r.key;
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.still_referenced(privacy_guard_internal.found_row[], boolean) IS
    'Those of some rows of one table that rows of guarded tables reference, in a way that these would be erased with them or lose their data subject.';

-- Rows are tried all together, and then by halves where something refuses.
CREATE FUNCTION privacy_guard_internal.change_rows(
    relation regclass, statement text, key text, rows privacy_guard_internal.found_row[],
    OUT done bigint, OUT blocked bigint, OUT blockers text[])
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    middle integer := cardinality(rows) / 2;
    lower record;
    upper record;
    schema_name text;
    table_name text;
    code text;
BEGIN
    done := 0;
    blocked := 0;
    blockers := '{}';
    IF cardinality(rows) = 0 THEN
        RETURN;
    END IF;
    BEGIN
        done := privacy_guard_internal.run_as_owner(relation, statement,
            (SELECT jsonb_agg(jsonb_build_array(r.part, r.place)) FROM unnest(rows) r)::text, key)::bigint;
        -- Somebody's trigger may have left rows as they were.
        blocked := cardinality(rows) - done;
        RETURN;
    EXCEPTION WHEN integrity_constraint_violation OR raise_exception OR insufficient_privilege THEN
        GET STACKED DIAGNOSTICS schema_name = SCHEMA_NAME, table_name = TABLE_NAME, code = RETURNED_SQLSTATE;
    END;
    IF cardinality(rows) = 1 THEN
        blocked := 1;
        -- Somebody's trigger may name what does not exist.
        blockers := ARRAY[coalesce(CASE WHEN schema_name <> '' AND table_name <> ''
                                        THEN to_regclass(format('%I.%I', schema_name, table_name))::text END, 'error ' || code)];
        RETURN;
    END IF;
    -- No loop over one query: an open cursor would count what is read here.
    SELECT * INTO lower FROM privacy_guard_internal.change_rows(relation, statement, key, rows[:middle]);
    SELECT * INTO upper FROM privacy_guard_internal.change_rows(relation, statement, key, rows[middle + 1:]);
    done := lower.done + upper.done;
    blocked := lower.blocked + upper.blocked;
    blockers := lower.blockers || upper.blockers;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.change_rows(regclass, text, text, privacy_guard_internal.found_row[]) IS
    'Runs a statement on rows of a table as its owner; $1: the rows, $2: the key of the data subject. What refuses is told by its table.';

CREATE FUNCTION privacy_guard_internal.change_statement(
    guarded privacy_guard.guarded_table, change text, masks jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('WITH changed AS (%s WHERE t.ctid = ANY (ARRAY(SELECT (w.row ->> 1)::tid FROM jsonb_array_elements($1::jsonb) AS w (row)))'
                  ' AND (t.tableoid, t.ctid) IN (SELECT (w.row ->> 0)::oid, (w.row ->> 1)::tid FROM jsonb_array_elements($1::jsonb) AS w (row))'
                  ' RETURNING 1) SELECT to_jsonb(count(*)) FROM changed', CASE change
        WHEN 'delete' THEN format('DELETE FROM %s t', guarded.relation)
        WHEN 'sever' THEN format('UPDATE %s t SET %s', guarded.relation, (
            SELECT string_agg(format('%1$I = CASE WHEN t.%1$I::text COLLATE "C" <> $2 THEN t.%1$I END', c), ', ')
              FROM unnest(guarded.subject_columns) c))
        ELSE format('UPDATE %s t SET %s', guarded.relation, (
            SELECT string_agg(format('%I = %s', a.name, a.value), ', ')
              FROM (SELECT c AS name, 'NULL' AS value
                      FROM unnest(privacy_guard_internal.subject_link(guarded)) c
                    UNION ALL
                    SELECT m.key, privacy_guard_internal.mask_expression(guarded.relation, m.key::name, m.value, 'anonymise')
                      FROM jsonb_each_text(masks) m
                     WHERE m.key <> ALL (privacy_guard_internal.subject_link(guarded)::text[])) a)) END) $$;
COMMENT ON FUNCTION privacy_guard_internal.change_statement(privacy_guard.guarded_table, text, jsonb) IS
    'What deletes rows (delete), takes one data subject out of them (sever), or anonymises them; see change_rows().';

CREATE FUNCTION privacy_guard_internal.change_table(
    guarded privacy_guard.guarded_table, key text, change text, masks jsonb, rows privacy_guard_internal.found_row[],
    OUT done bigint, OUT blocked bigint, OUT blockers text[])
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    referenced record;
    free privacy_guard_internal.found_row[] := rows;
    own_blockers text[] := '{}';
BEGIN
    IF cardinality(rows) > 0 AND privacy_guard_internal.runs_foreign_code(
           guarded.relation, CASE change WHEN 'delete' THEN 'DELETE' ELSE 'UPDATE' END) THEN
        done := 0;
        blocked := cardinality(rows);
        blockers := ARRAY['code that would run as a superuser'];
        RETURN;
    END IF;
    IF cardinality(rows) > 0 AND change <> 'sever' THEN
        SELECT coalesce(array_agg(DISTINCT s.blocker), '{}') AS blockers,
               coalesce(array_agg(s.part), '{}') AS parts, coalesce(array_agg(s.place), '{}') AS places INTO referenced
          FROM privacy_guard_internal.still_referenced(rows, change = 'delete') s;
        own_blockers := referenced.blockers;
        free := ARRAY(SELECT r FROM unnest(rows) r WHERE NOT EXISTS (
            SELECT FROM unnest(referenced.parts, referenced.places) AS b (part, place)
             WHERE b.part = r.part AND b.place = r.place));
    END IF;
    SELECT c.done, c.blocked + cardinality(rows) - cardinality(free), c.blockers || own_blockers
      INTO done, blocked, blockers
      FROM privacy_guard_internal.change_rows(guarded.relation,
               privacy_guard_internal.change_statement(guarded, change, masks), key, free) c;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.change_table(
    privacy_guard.guarded_table, text, text, jsonb, privacy_guard_internal.found_row[]) IS
    'Deletes, anonymises or severs rows of one table as far as nothing stands in the way.';

CREATE FUNCTION privacy_guard_internal.erase_from_table(
    guarded privacy_guard.guarded_table, key text, rows privacy_guard_internal.found_row[]) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule record;
    anonymise boolean;
    severed record;
    erased record;
    kept jsonb;
BEGIN
    SELECT * INTO rule FROM privacy_guard_internal.erasure_due(guarded.relation, clock_timestamp());
    -- What is pseudonymous is personal still: such rows are deleted.
    anonymise := rule.action IS NOT DISTINCT FROM 'anonymise';
    severed := privacy_guard_internal.change_table(guarded, key, 'sever', NULL,
        ARRAY(SELECT r FROM unnest(rows) r WHERE r.verdict = 'sever'));
    erased := privacy_guard_internal.change_table(guarded, key, CASE WHEN anonymise THEN 'anonymise' ELSE 'delete' END,
        rule.masks, ARRAY(SELECT r FROM unnest(rows) r WHERE r.verdict = 'erase'));
    SELECT jsonb_object_agg(k.cause, k.n) INTO kept
      FROM (SELECT c.cause, count(r.verdict) AS n FROM unnest('{hold,legal_obligation,restricted}'::text[]) c (cause)
              LEFT JOIN unnest(rows) r ON r.verdict = c.cause GROUP BY c.cause) k;
    RETURN jsonb_build_object(
        'relation', guarded.relation::text,
        'deleted', CASE WHEN anonymise THEN 0 ELSE erased.done END,
        'anonymised', CASE WHEN anonymise THEN erased.done ELSE 0 END,
        'severed', severed.done,
        'kept', kept || jsonb_build_object('blocked', severed.blocked + erased.blocked),
        'blocked_by', (SELECT coalesce(jsonb_agg(DISTINCT b), '[]') FROM unnest(severed.blockers || erased.blockers) b));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_from_table(
    privacy_guard.guarded_table, text, privacy_guard_internal.found_row[]) IS
    'Does to the found rows of one table what was decided about each, and says how many they were.';

CREATE FUNCTION privacy_guard_internal.erase_subject_rows_once(
    state privacy_guard.subject_state, category privacy_guard.subject_category, relations regclass[]) RETURNS SETOF jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    guarded privacy_guard.guarded_table;
    located privacy_guard_internal.found_row[] := '{}';
    rows privacy_guard_internal.found_row[];
BEGIN
    FOR guarded IN SELECT g.* FROM unnest(relations) WITH ORDINALITY AS o (relation, place)
                     JOIN privacy_guard.guarded_table g USING (relation) ORDER BY o.place LOOP
        located := located || privacy_guard_internal.find_rows(guarded, state, category, located);
    END LOOP;
    FOR guarded IN SELECT g.* FROM unnest(relations) WITH ORDINALITY AS o (relation, place)
                     JOIN privacy_guard.guarded_table g USING (relation) ORDER BY o.place DESC LOOP
        rows := ARRAY(SELECT f FROM unnest(located) f WHERE f.relation = guarded.relation);
        CONTINUE WHEN rows = '{}';
        RETURN NEXT privacy_guard_internal.erase_from_table(guarded, state.key, rows);
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_subject_rows_once(
    privacy_guard.subject_state, privacy_guard.subject_category, regclass[]) IS
    'Finds the rows of a data subject from parents to children, and erases them from children to parents.';

-- Triggers of the tables may move rows, or make new ones, while others are erased: so it is done until nothing is left to
-- do. What they make for ever is reported as blocked.
CREATE FUNCTION privacy_guard_internal.erase_subject_rows(
    state privacy_guard.subject_state, category privacy_guard.subject_category, relations regclass[]) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pass jsonb;
    passes jsonb := '[]';
    progress bigint;
BEGIN
    FOR attempt IN 1 .. 5 LOOP
        SELECT coalesce(jsonb_agg(t), '[]') INTO pass FROM privacy_guard_internal.erase_subject_rows_once(state, category, relations) t;
        SELECT coalesce(sum((t ->> 'deleted')::bigint + (t ->> 'anonymised')::bigint + (t ->> 'severed')::bigint), 0)
          INTO progress FROM jsonb_array_elements(pass) t;
        passes := passes || jsonb_build_array(pass);
        EXIT WHEN progress = 0;
    END LOOP;
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_object('relation', w.relation, 'deleted', w.deleted, 'anonymised', w.anonymised,
                   'severed', w.severed, 'blocked_by', coalesce(l.t -> 'blocked_by', '[]'),
                   'kept', coalesce(l.t -> 'kept', '{"hold": 0, "legal_obligation": 0, "restricted": 0, "blocked": 0}')
                       || CASE WHEN l.made > 0 THEN jsonb_build_object('blocked', (l.t #>> '{kept,blocked}')::bigint + l.made)
                               ELSE '{}' END) ORDER BY w.relation), '[]')
          FROM (SELECT t ->> 'relation' AS relation, sum((t ->> 'deleted')::bigint) AS deleted,
                       sum((t ->> 'anonymised')::bigint) AS anonymised, sum((t ->> 'severed')::bigint) AS severed
                  FROM jsonb_array_elements(passes) p CROSS JOIN jsonb_array_elements(p) t GROUP BY 1) w
          LEFT JOIN LATERAL (
               SELECT t, (t ->> 'deleted')::bigint + (t ->> 'anonymised')::bigint + (t ->> 'severed')::bigint AS made
                 FROM jsonb_array_elements(pass) t WHERE t ->> 'relation' = w.relation) l ON true);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_subject_rows(
    privacy_guard.subject_state, privacy_guard.subject_category, regclass[]) IS
    'Erases the rows of a data subject from guarded tables; for each table what became of them and what is kept why.';
