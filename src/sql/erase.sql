-- Erasing what is due: which rows, in which order, and the receipt for them.

-- A run erases the rows of one table that one rule makes due; its batches are transactions of their own.
CREATE TABLE privacy_guard.retention_run (
    run_id uuid PRIMARY KEY,
    relation regclass NOT NULL,
    retention_id integer,
    purpose text COLLATE "C",
    action text NOT NULL,
    masks jsonb,
    cause text NOT NULL,
    cutoff timestamptz NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    finished_at timestamptz,
    rows bigint NOT NULL DEFAULT 0,
    unnumbered bigint NOT NULL DEFAULT 0,
    batches integer NOT NULL DEFAULT 0,
    partitions text[] NOT NULL DEFAULT '{}',
    first_start timestamptz,
    last_start timestamptz,
    members regclass[] NOT NULL,
    member integer NOT NULL DEFAULT 1,
    resume_at timestamptz NOT NULL DEFAULT '-infinity',
    blocked tid[] NOT NULL DEFAULT '{}',
    partition_action text NOT NULL DEFAULT 'rows');
CREATE UNIQUE INDEX retention_run_unfinished ON privacy_guard.retention_run (relation, cause) WHERE finished_at IS NULL;
COMMENT ON TABLE privacy_guard.retention_run IS
    'Runs of the eraser that have no receipt in the audit log yet, and the last one of each table.';
COMMENT ON COLUMN privacy_guard.retention_run.cause IS 'expired: the storage duration ended; unneeded: no purpose has a live basis any more.';
COMMENT ON COLUMN privacy_guard.retention_run.ended_at IS 'When nothing was left to do; then comes the receipt, in a transaction of its own.';
COMMENT ON COLUMN privacy_guard.retention_run.unnumbered IS 'How many rows named a data subject that has no number.';
COMMENT ON COLUMN privacy_guard.retention_run.members IS 'The tables that hold the rows: partitions and children. Those before member are done.';
COMMENT ON COLUMN privacy_guard.retention_run.resume_at IS 'Rows of the member that began before are done, so that the index entries of the erased are not walked again.';
COMMENT ON COLUMN privacy_guard.retention_run.blocked IS 'Places of rows of the member that could not be erased.';

CREATE TABLE privacy_guard.retention_batch (
    run_id uuid NOT NULL,
    batch integer NOT NULL,
    rows bigint NOT NULL,
    subjects privacy_guard.subject_set NOT NULL,
    PRIMARY KEY (run_id, batch));
COMMENT ON TABLE privacy_guard.retention_batch IS
    'Whose rows the batches of unfinished runs have erased; committed with the erasure, and gone with the receipt.';

CREATE TABLE privacy_guard.retention_state (
    relation regclass PRIMARY KEY,
    last_started timestamptz,
    last_finished timestamptz,
    last_error text,
    last_sqlstate text,
    failures integer NOT NULL DEFAULT 0,
    next_attempt timestamptz NOT NULL DEFAULT '-infinity',
    rows_total bigint NOT NULL DEFAULT 0,
    rows_per_second real,
    blocked bigint NOT NULL DEFAULT 0,
    blocked_by text);
COMMENT ON TABLE privacy_guard.retention_state IS 'How erasing goes, by guarded table: what retention_status shows.';
COMMENT ON COLUMN privacy_guard.retention_state.blocked IS 'Rows due at the last run that others depend on, or whose erasure would run somebody''s code as superuser.';

-- ---- masks ----

-- Named in statements of ours; the planner puts the other one in its place.
CREATE FUNCTION privacy_guard.pseudonym(value text) RETURNS text
    LANGUAGE C STABLE STRICT AS 'MODULE_PATHNAME', 'pseudonym_refuse';
REVOKE ALL ON FUNCTION privacy_guard.pseudonym(text) FROM PUBLIC;
COMMENT ON FUNCTION privacy_guard.pseudonym(text) IS
    'What the mask pseudonym puts in place of a value. Only the eraser can call it. Errors: 42501.';

CREATE FUNCTION privacy_guard_internal.pseudonym(internal, value text) RETURNS text
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'pseudonym_of';
COMMENT ON FUNCTION privacy_guard_internal.pseudonym(internal, text) IS
    'The keyed digest of a value. The library puts it into plans; SQL cannot call it.';

CREATE FUNCTION privacy_guard_internal.require_mask_type(
    relation regclass, column_name name, kind text, fits boolean) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT fits THEN
        RAISE EXCEPTION 'mask "%" does not fit column "%" of table %', kind, column_name, relation
            USING ERRCODE = 'datatype_mismatch',
                  HINT = 'null fits every column; redact, partial and prefix:N fit texts, year and month dates and times, range:N numbers, pseudonym texts and uuids.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_mask_type(regclass, name, text, boolean) IS 'Errors: 42804.';

-- What is masked once more stays as it is: a run that was interrupted may meet a row again.
CREATE FUNCTION privacy_guard_internal.mask_expression(relation regclass, column_name name, kind text, action text)
    RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type regtype := privacy_guard_internal.column_type(relation, column_name);
    is_text boolean := type IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype);
    is_number boolean := type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype,
                                  'real'::regtype, 'double precision'::regtype);
    word text := split_part(kind, ':', 1);
    size integer := substring(kind FROM '^[a-z]+:([1-9][0-9]{0,8})$')::integer;
    attribute record;
    max_length integer;
BEGIN
    SELECT a.attnotnull OR t.typnotnull AS not_null, a.attgenerated <> '' AS generated,
           CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier
      INTO attribute
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = relation AND a.attname = column_name;
    IF kind IS NULL OR word <> ALL ('{"null",redact,partial,year,month,range,prefix,pseudonym}')
       OR (word IN ('range', 'prefix')) <> (size IS NOT NULL)
       OR (word NOT IN ('range', 'prefix') AND kind <> word) THEN
        RAISE EXCEPTION 'unknown mask for column "%" of table %', column_name, relation
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use null, redact, partial, year, month, range:N, prefix:N or, to pseudonymise, pseudonym.';
    ELSIF word = 'pseudonym' AND action <> 'pseudonymise' THEN
        RAISE EXCEPTION 'column "%" of table % cannot be anonymised by a pseudonym', column_name, relation
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Who has the key can still tell the person. Choose another mask, or the action pseudonymise.';
    ELSIF word = 'null' AND attribute.not_null THEN
        RAISE EXCEPTION 'column "%" of table % must not be null', column_name, relation
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Drop NOT NULL from the column, or choose another mask.';
    ELSIF attribute.generated OR EXISTS (
        SELECT FROM privacy_guard_internal.family(relation) m JOIN pg_partitioned_table p ON p.partrelid = m
          JOIN pg_attribute a ON a.attrelid = m AND a.attname = column_name
         WHERE a.attnum = ANY (p.partattrs::smallint[])) THEN
        RAISE EXCEPTION 'column "%" of table % cannot be masked', column_name, relation
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is generated, or part of a partition key.';
    END IF;
    PERFORM privacy_guard_internal.require_mask_type(relation, column_name, kind, CASE word
        WHEN 'null' THEN true
        WHEN 'year' THEN type IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
        WHEN 'month' THEN type IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
        WHEN 'range' THEN is_number
        WHEN 'pseudonym' THEN type = 'uuid'::regtype OR (is_text AND (attribute.modifier < 0 OR attribute.modifier - 4 >= 16))
        ELSE is_text END);
    max_length := CASE WHEN is_text AND attribute.modifier > 0 THEN attribute.modifier - 4 ELSE 64 END;
    RETURN CASE word
        WHEN 'null' THEN 'NULL'
        WHEN 'redact' THEN format('CASE WHEN %I IS NOT NULL THEN %L END', column_name, left('redacted', max_length))
        WHEN 'partial' THEN format('left(%1$I::text, 1) || repeat(''*'', greatest(length(%1$I::text) - 1, 0))', column_name)
        WHEN 'prefix' THEN format('left(%I::text, %s)', column_name, size)
        WHEN 'range' THEN CASE
            WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
                THEN format('(%1$I - (%1$I %% %2$s + %2$s) %% %2$s)::%3$s', column_name || '', size, type)
            ELSE format('(floor(%I / %s) * %s)::%s', column_name, size, size, type) END
        WHEN 'pseudonym' THEN format('left(privacy_guard.pseudonym(%I::text), %s)::%s', column_name,
            CASE WHEN type = 'uuid'::regtype THEN 32 ELSE least(max_length, 64) END, type)
        ELSE CASE type
            WHEN 'timestamptz'::regtype THEN format('date_trunc(%L, %I, ''UTC'')', word, column_name)
            WHEN 'timestamp'::regtype THEN format('date_trunc(%L, %I)', word, column_name)
            ELSE format('date_trunc(%L, %I::timestamp)::date', word, column_name) END
    END;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.mask_expression(regclass, name, text, text) IS
    'What anonymise or pseudonymise puts in place of a column''s value. Errors: 22023, 42703, 42804.';

-- ---- what stands in the way ----

CREATE FUNCTION privacy_guard_internal.guarded_root(relation oid) RETURNS regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT c.root FROM privacy_guard.guarded_child c WHERE c.relation = guarded_root.relation),
                    (SELECT g.relation FROM privacy_guard.guarded_table g WHERE g.relation = guarded_root.relation)) $$;
COMMENT ON FUNCTION privacy_guard_internal.guarded_root(oid) IS 'The guarded table that a relation is, or is a part of; NULL where it is none.';

CREATE FUNCTION privacy_guard_internal.start_bound(relation regclass, bound text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE privacy_guard_internal.column_type(g.relation, g.retention_start)
               WHEN 'timestamptz'::regtype THEN format('(%s)::timestamptz', bound)
               WHEN 'timestamp'::regtype THEN format('((%s)::timestamptz AT TIME ZONE ''UTC'')', bound)
               ELSE format('((%s)::timestamptz AT TIME ZONE ''UTC'')::date', bound) END
      FROM privacy_guard.guarded_table g WHERE g.relation = start_bound.relation $$;
COMMENT ON FUNCTION privacy_guard_internal.start_bound(regclass, text) IS
    'A time, as SQL, in the type of the table''s start; dates and times without a zone are in UTC.';

CREATE FUNCTION privacy_guard_internal.start_in_utc(guarded privacy_guard.guarded_table) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(CASE privacy_guard_internal.column_type(guarded.relation, guarded.retention_start)
               WHEN 'timestamptz'::regtype THEN '(t.%I AT TIME ZONE ''UTC'')' ELSE 't.%I::timestamp' END,
               guarded.retention_start) $$;
COMMENT ON FUNCTION privacy_guard_internal.start_in_utc(privacy_guard.guarded_table) IS
    'The start of a row t, as SQL of type timestamp, whatever the session''s time zone.';

-- Foreign keys by which rows of others depend on those of a relation, as PostgreSQL acts on them.
CREATE FUNCTION privacy_guard_internal.dependants(relation oid)
    RETURNS TABLE (name name, child oid, action "char", condition text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.conname, c.conrelid, c.confdeltype,
           string_agg('%1$s.' || replace(format('%I OPERATOR(%I.%s) ', parent.attname, n.nspname, o.oprname), '%', '%%')
                      || '%2$s.' || replace(quote_ident(child.attname), '%', '%%'), ' AND ' ORDER BY k.i)
      FROM pg_constraint c
     CROSS JOIN LATERAL unnest(c.conkey, c.confkey, c.conpfeqop) WITH ORDINALITY AS k(conkey, confkey, op, i)
      JOIN pg_attribute child ON child.attrelid = c.conrelid AND child.attnum = k.conkey
      JOIN pg_attribute parent ON parent.attrelid = c.confrelid AND parent.attnum = k.confkey
      JOIN pg_operator o ON o.oid = k.op JOIN pg_namespace n ON n.oid = o.oprnamespace
     WHERE c.contype = 'f' AND c.confrelid = dependants.relation
       -- Those of a partition repeat what is said of its parent.
       AND NOT EXISTS (SELECT FROM pg_constraint above
                        WHERE above.oid = c.conparentid AND above.confrelid = c.confrelid)
     GROUP BY c.oid, c.conname, c.conrelid, c.confdeltype ORDER BY c.conname, c.oid $$;
COMMENT ON FUNCTION privacy_guard_internal.dependants(oid) IS
    'The foreign keys that reference a relation; condition, for format(), compares %1$s, a row of it, with %2$s, a row of the child.';

-- A row that is deleted takes others with it where the foreign key says so; those that are not due yet keep it.
CREATE FUNCTION privacy_guard_internal.blocking_rows(
    relation oid, reader oid, alias text, at timestamptz, seen oid[] DEFAULT '{}')
    RETURNS TABLE (name name, condition text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key record;
    child_alias text := 'd' || cardinality(seen);
    root regclass;
    since name;
    alive text;
    below text;
    path oid[] := seen || blocking_rows.relation;
BEGIN
    FOR key IN SELECT d.* FROM privacy_guard_internal.dependants(blocking_rows.relation) d
                WHERE d.action IN ('a', 'r', 'c') AND has_table_privilege(reader, d.child, 'SELECT')
    LOOP
        root := privacy_guard_internal.guarded_root(key.child);
        alive := NULL;
        IF key.action <> 'c' THEN
            alive := 'true';
        ELSIF key.child = ANY (path) THEN
            -- How deep a circle goes is not known, so the rows at its end go first.
            IF EXISTS (SELECT FROM unnest(path[array_position(path, key.child):]) p JOIN privacy_guard.retention r
                           ON r.relation = privacy_guard_internal.guarded_root(p)) THEN
                alive := 'true';
            END IF;
        ELSIF EXISTS (SELECT FROM privacy_guard.retention r WHERE r.relation = root) THEN
            SELECT g.retention_start INTO since FROM privacy_guard.guarded_table g WHERE g.relation = root;
            SELECT coalesce(format('(%s.%I <= %s) IS NOT TRUE', child_alias, since,
                                   privacy_guard_internal.start_bound(root, quote_literal(e.cutoff))), 'true')
              INTO alive FROM privacy_guard_internal.erasure_due(root, at) e;
        END IF;
        IF key.action = 'c' AND alive IS DISTINCT FROM 'true' AND key.child <> ALL (path) THEN
            SELECT string_agg(b.condition, ' OR ') INTO below
              FROM privacy_guard_internal.blocking_rows(key.child, reader, child_alias, at, path) b;
            alive := nullif(concat_ws(' OR ', alive, below), '');
        END IF;
        IF alive = 'true' AND key.child = blocking_rows.relation THEN
            -- A row that refers to itself does not depend on another.
            alive := format('(%1$s.tableoid, %1$s.ctid) <> (%2$s.tableoid, %2$s.ctid)', child_alias, alias);
        END IF;
        IF alive IS NOT NULL THEN
            name := key.name;
            condition := format('EXISTS (SELECT FROM %s%s %s WHERE %s AND (%s))',
                CASE WHEN (SELECT c.relkind FROM pg_class c WHERE c.oid = key.child) = 'p' THEN '' ELSE 'ONLY ' END,
                key.child::regclass, child_alias, format(key.condition, alias, child_alias), alive);
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.blocking_rows(oid, oid, text, timestamptz, oid[]) IS
    'By foreign key, the condition that a row of the relation (alias) must not be deleted, as far as the reader may look: others refer to it, or would go with it although their own storage duration has not ended.';

-- ---- statements ----

CREATE FUNCTION privacy_guard_internal.due_condition(guarded privacy_guard.guarded_table, action text, upper_bound text)
    RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('t.%I <= %s', guarded.retention_start, privacy_guard_internal.start_bound(guarded.relation, upper_bound))
           || CASE WHEN action = 'anonymise' THEN format(' AND num_nonnulls(%s) > 0',
                  (SELECT string_agg(format('t.%I', c), ', ')
                     FROM unnest(guarded.subject_columns || guarded.subject_via) c WHERE c IS NOT NULL)) ELSE '' END $$;
COMMENT ON FUNCTION privacy_guard_internal.due_condition(privacy_guard.guarded_table, text, text) IS
    'The condition that a row t is due; what is anonymised already has no subject any more.';

CREATE FUNCTION privacy_guard_internal.erase_assignments(
    guarded privacy_guard.guarded_table, action text, masks jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%I = %s', a.name, a.value), ', ') FROM (
        SELECT m.key, privacy_guard_internal.mask_expression(guarded.relation, m.key::name, m.value, action)
          FROM jsonb_each_text(coalesce(masks, '{}')) m
         WHERE m.key <> ALL (guarded.subject_columns::text[]) AND m.key <> guarded.retention_start
        UNION ALL
        SELECT c, 'NULL' FROM unnest(guarded.subject_columns || guarded.subject_via) c
         WHERE action = 'anonymise' AND c IS NOT NULL
        UNION ALL
        SELECT m.key, privacy_guard_internal.mask_expression(guarded.relation, m.key::name, m.value, action)
          FROM jsonb_each_text(coalesce(masks, '{}')) m
         WHERE m.key = ANY (guarded.subject_columns::text[]) AND action = 'pseudonymise'
        UNION ALL
        SELECT guarded.retention_start, quote_literal('infinity') WHERE action = 'pseudonymise') a(name, value) $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_assignments(privacy_guard.guarded_table, text, jsonb) IS
    'What an UPDATE sets that erases by masks.';

-- places is an expression of type tid[].
CREATE FUNCTION privacy_guard_internal.erase_at(
    guarded privacy_guard.guarded_table, member regclass, action text, masks jsonb, places text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE action
               WHEN 'delete' THEN format('DELETE FROM ONLY %s t WHERE t.ctid = ANY (%s)', member, places)
               ELSE format('UPDATE ONLY %s t SET %s WHERE t.ctid = ANY (%s)', member,
                           privacy_guard_internal.erase_assignments(guarded, action, masks), places) END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_at(privacy_guard.guarded_table, regclass, text, jsonb, text) IS
    'The statement that erases the rows of a member at certain places.';

-- $1 to $2 are the starts, $3 the places to leave out: a subquery, so that they are read once and not for each row.
CREATE FUNCTION privacy_guard_internal.due_rows(
    guarded privacy_guard.guarded_table, member regclass, action text, at timestamptz, row_limit integer) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('FROM ONLY %1$s t WHERE t.%2$I >= %3$s AND %4$s AND t.ctid <> ALL ((SELECT $3::tid[])::tid[])%5$s'
                  ' ORDER BY t.%2$I LIMIT %6$s FOR UPDATE OF t SKIP LOCKED',
           member, guarded.retention_start, privacy_guard_internal.start_bound(guarded.relation, '$1'),
           privacy_guard_internal.due_condition(guarded, action, '$2'),
           CASE WHEN action = 'delete' THEN
               (SELECT string_agg(' AND NOT ' || b.condition, '')
                  FROM privacy_guard_internal.blocking_rows(member,
                           (SELECT c.relowner FROM pg_class c WHERE c.oid = member), 't', at) b) END,
           row_limit) $$;
COMMENT ON FUNCTION privacy_guard_internal.due_rows(privacy_guard.guarded_table, regclass, text, timestamptz, integer) IS
    'From FROM on, the query for the rows of a member that are due and nothing blocks, oldest first; those that others have locked are left for the next run.';

-- ---- a batch ----

-- Errors that say nothing about a row end the batch, and the attempt.
CREATE FUNCTION privacy_guard_internal.is_about_row(state text) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT left(state, 2) IN ('09', '21', '22', '23', '27', '2F', '38', '39', '42', '44', 'P0') OR state = '55000' $$;
COMMENT ON FUNCTION privacy_guard_internal.is_about_row(text) IS
    'Whether an error may come from the row that was to be erased, so that others can be.';

CREATE TYPE privacy_guard_internal.erased AS (
    rows bigint, first_start timestamptz, last_start timestamptz, subjects privacy_guard.subject_set,
    unnumbered bigint, picked bigint, resume_at timestamptz, blocked tid[]);
COMMENT ON TYPE privacy_guard_internal.erased IS 'What a batch has erased, how many rows it was to be, and which it could not.';

-- Which row is it that the others cannot be erased with? Halve, until it is alone.
CREATE FUNCTION privacy_guard_internal.erase_piecemeal(relation regclass, member regclass, plan text, statement text, places tid[])
    RETURNS privacy_guard_internal.erased
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    half integer := cardinality(places) / 2;
    one record;
    a privacy_guard_internal.erased;
    b privacy_guard_internal.erased;
BEGIN
    one := privacy_guard_internal.erase_batch(relation, member, plan, statement, ARRAY[places::text]);
    RETURN (one.rows, one.first_start, one.last_start, one.subjects, one.unnumbered, 0, NULL, '{}')::privacy_guard_internal.erased;
EXCEPTION WHEN OTHERS THEN
    IF NOT privacy_guard_internal.is_about_row(SQLSTATE) THEN
        RAISE;
    ELSIF half = 0 THEN
        RETURN (0, NULL, NULL, '{}', 0, 0, NULL, places)::privacy_guard_internal.erased;
    END IF;
    a := privacy_guard_internal.erase_piecemeal(relation, member, plan, statement, places[:half]);
    b := privacy_guard_internal.erase_piecemeal(relation, member, plan, statement, places[half + 1:]);
    RETURN (a.rows + b.rows, least(a.first_start, b.first_start), greatest(a.last_start, b.last_start),
            a.subjects OPERATOR(privacy_guard.|) b.subjects, a.unnumbered + b.unnumbered, 0, NULL, a.blocked || b.blocked)::privacy_guard_internal.erased;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_piecemeal(regclass, regclass, text, text, tid[]) IS
    'Erases the rows at these places that can be erased.';

-- A row of another table may have come between the snapshot in which the rows were found and their locks, which keep
-- others out from then on. A key without cascade raises an error, but a cascade would take it with it.
CREATE FUNCTION privacy_guard_internal.takes_along(member regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM privacy_guard_internal.dependants(member) d
                     JOIN privacy_guard_internal.blocking_rows(member,
                              (SELECT c.relowner FROM pg_class c WHERE c.oid = member), 't', clock_timestamp()) b
                    USING (name) WHERE d.action = 'c') $$;
COMMENT ON FUNCTION privacy_guard_internal.takes_along(regclass) IS
    'Whether deleting its rows could delete rows of others that are to stay.';

CREATE FUNCTION privacy_guard_internal.not_blocked(member regclass, places tid[]) RETURNS tid[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    condition text;
    blocked jsonb;
BEGIN
    SELECT string_agg(b.condition, ' OR ') INTO condition
      FROM privacy_guard_internal.blocking_rows(member,
               (SELECT c.relowner FROM pg_class c WHERE c.oid = member), 't', clock_timestamp()) b;
    IF condition IS NULL THEN
        RETURN places;
    END IF;
    blocked := privacy_guard_internal.run_as_owner(member, format(
        'SELECT jsonb_agg(t.ctid) FROM ONLY %s t WHERE t.ctid = ANY ($1::tid[]) AND (%s)', member, condition), places::text);
    RETURN ARRAY(SELECT p FROM unnest(places) p
                  WHERE p NOT IN (SELECT b::tid FROM jsonb_array_elements_text(nullif(blocked, 'null')) b));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.not_blocked(regclass, tid[]) IS
    'Those of the rows at these places, which are locked, that nothing blocks by now.';

CREATE FUNCTION privacy_guard_internal.erase_apart(
    run privacy_guard.retention_run, guarded privacy_guard.guarded_table, member regclass, batch_size integer)
    RETURNS privacy_guard_internal.erased
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    picked jsonb;
    places tid[];
    result privacy_guard_internal.erased;
BEGIN
    picked := privacy_guard_internal.erase_pick(guarded.relation, member,
        format('SELECT jsonb_build_object(''places'', jsonb_agg(ctid), ''last'', max(start)) FROM (SELECT t.ctid, t.%I AS start %s) p',
               guarded.retention_start,
               privacy_guard_internal.due_rows(guarded, member, run.action, clock_timestamp(), batch_size)),
        run.resume_at::text, run.cutoff::text, run.blocked::text);
    IF picked -> 'places' = 'null' THEN
        RETURN (0, NULL, NULL, '{}', 0, 0, NULL, '{}')::privacy_guard_internal.erased;
    END IF;
    places := ARRAY(SELECT p::tid FROM jsonb_array_elements_text(picked -> 'places') p);
    IF run.action = 'delete' THEN
        places := privacy_guard_internal.not_blocked(member, places);
    END IF;
    result := privacy_guard_internal.erase_piecemeal(guarded.relation, member, format('%s/%s/apart', run.run_id, member::oid),
        privacy_guard_internal.erase_at(guarded, member, run.action, run.masks, '$1::tid[]'), places);
    result.picked := jsonb_array_length(picked -> 'places');
    result.resume_at := CASE privacy_guard_internal.column_type(guarded.relation, guarded.retention_start)
        WHEN 'timestamptz'::regtype THEN (picked ->> 'last')::timestamptz
        ELSE (picked ->> 'last')::timestamp AT TIME ZONE 'UTC' END;
    RETURN result;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_apart(privacy_guard.retention_run, privacy_guard.guarded_table, regclass, integer) IS
    'Erases a batch of which not all rows can be erased, or which could take others along.';

CREATE FUNCTION privacy_guard_internal.erase_rows(
    run privacy_guard.retention_run, guarded privacy_guard.guarded_table, member regclass, batch_size integer)
    RETURNS privacy_guard_internal.erased
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    plan text := format('%s/%s/%s', run.run_id, member::oid, batch_size);
    arguments text[] := ARRAY[run.resume_at::text, run.cutoff::text, run.blocked::text];
    batch record;
BEGIN
    batch := privacy_guard_internal.erase_batch(guarded.relation, member, plan, NULL, arguments);
    IF batch.ready IS NULL THEN
        RETURN (0, NULL, NULL, '{}', 0, 0, NULL, '{}')::privacy_guard_internal.erased;
    ELSIF NOT batch.ready AND run.action = 'delete' AND privacy_guard_internal.takes_along(member) THEN
        RETURN privacy_guard_internal.erase_apart(run, guarded, member, batch_size);
    ELSIF NOT batch.ready THEN
        batch := privacy_guard_internal.erase_batch(guarded.relation, member, plan,
            privacy_guard_internal.erase_at(guarded, member, run.action, run.masks,
                format('ARRAY(SELECT t.ctid %s)',
                       privacy_guard_internal.due_rows(guarded, member, run.action, clock_timestamp(), batch_size))),
            arguments);
    END IF;
    RETURN (batch.rows, batch.first_start, batch.last_start, batch.subjects, batch.unnumbered,
            batch.rows, batch.last_start, '{}')::privacy_guard_internal.erased;
EXCEPTION WHEN OTHERS THEN
    IF NOT privacy_guard_internal.is_about_row(SQLSTATE) THEN
        RAISE;
    END IF;
    RETURN privacy_guard_internal.erase_apart(run, guarded, member, batch_size);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_rows(privacy_guard.retention_run, privacy_guard.guarded_table, regclass, integer) IS
    'Erases the next batch of a member''s rows.';

-- ---- whole partitions ----

-- NULL where the relation is no range partition by the start alone, or has no end.
CREATE FUNCTION privacy_guard_internal.partition_end(guarded privacy_guard.guarded_table, partition regclass)
    RETURNS timestamptz
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
    bound text;
BEGIN
    IF guarded.retention_start IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM ' TO \(''([^'']*)''\)$') INTO bound
      FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
      JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
      JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attname = guarded.retention_start
     WHERE c.oid = partition AND c.relispartition AND p.partstrat = 'r' AND p.partattrs::text = a.attnum::text;
    RETURN CASE privacy_guard_internal.column_type(guarded.relation, guarded.retention_start)
        WHEN 'timestamptz'::regtype THEN bound::timestamptz
        ELSE bound::timestamp AT TIME ZONE 'UTC' END;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.partition_end(privacy_guard.guarded_table, regclass) IS
    'Before which all rows of a range partition by the start began.';

CREATE FUNCTION privacy_guard_internal.is_referenced(relation regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_constraint c WHERE c.contype = 'f' AND c.confrelid = is_referenced.relation) $$;
COMMENT ON FUNCTION privacy_guard_internal.is_referenced(regclass) IS 'Whether a foreign key references the relation.';

-- Its rows are past their time, so nobody gets to see them: no purpose is permitted for it.
CREATE FUNCTION privacy_guard_internal.guard_apart(guarded privacy_guard.guarded_table, partition regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    child privacy_guard.guarded_child;
BEGIN
    DELETE FROM privacy_guard.guarded_child c WHERE c.relation = partition RETURNING * INTO STRICT child;
    INSERT INTO privacy_guard.guarded_table
        (relation, category_id, subject_columns, subject_via, consent_column, null_subject, audit_level, mode,
         prior_row_security, protected_by)
    VALUES (partition, guarded.category_id, guarded.subject_columns, guarded.subject_via, guarded.consent_column,
            guarded.null_subject, guarded.audit_level, 'enforce', child.prior_row_security,
            privacy_guard_internal.recorder());
    PERFORM privacy_guard_internal.adopt(partition);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.guard_apart(privacy_guard.guarded_table, regclass) IS
    'Makes a partition that was detached a guarded table of its own.';

-- SHARE keeps writers of this old partition out while its rows are read; readers and the other partitions go on. The
-- table itself is locked for the moment of the drop only, and nobody waits longer for it than lock_timeout.
CREATE FUNCTION privacy_guard_internal.erase_partition(
    run privacy_guard.retention_run, guarded privacy_guard.guarded_table, partition regclass, detach boolean)
    RETURNS privacy_guard_internal.erased
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    parent regclass;
    content record;
BEGIN
    IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = partition)
       OR privacy_guard_internal.is_referenced(partition) THEN
        RETURN NULL;
    END IF;
    -- From here on no other hold is placed; those that are there keep rows back.
    PERFORM privacy_guard_internal.may_be_held(partition);
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE MODE', partition);
    content := privacy_guard_internal.erase_whole(guarded.relation, partition, format('SELECT FROM ONLY %s', partition));
    IF content.ready IS NULL OR content.withheld > 0 OR content.last_start > run.cutoff THEN
        RETURN NULL;
    END IF;
    SELECT i.inhparent INTO parent FROM pg_inherits i WHERE i.inhrelid = partition;
    IF detach THEN
        EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, partition);
        PERFORM privacy_guard_internal.guard_apart(guarded, partition);
    ELSE
        EXECUTE format('DROP TABLE %s', partition);
        PERFORM privacy_guard_internal.forget_table(partition);
    END IF;
    RETURN (content.rows, content.first_start, content.last_start, content.subjects, content.unnumbered, content.rows, NULL, '{}')::privacy_guard_internal.erased;
EXCEPTION WHEN lock_not_available OR dependent_objects_still_exist OR insufficient_privilege
            OR object_not_in_prerequisite_state THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_partition(privacy_guard.retention_run, privacy_guard.guarded_table, regclass, boolean) IS
    'Drops or detaches a partition all of whose rows are due; NULL where that is not possible now, so that its rows are erased one by one.';

-- ---- runs ----

CREATE FUNCTION privacy_guard_internal.begin_run(
    guarded privacy_guard.guarded_table, retention_id integer, action text, masks jsonb, cutoff timestamptz, cause text)
    RETURNS privacy_guard.retention_run
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run privacy_guard.retention_run;
BEGIN
    run.run_id := privacy_guard_internal.record_id();
    run.relation := guarded.relation;
    run.retention_id := retention_id;
    SELECT r.purpose INTO run.purpose FROM privacy_guard.retention r WHERE r.retention_id = begin_run.retention_id;
    run.action := action;
    run.masks := masks;
    run.cause := cause;
    run.cutoff := cutoff;
    run.started_at := clock_timestamp();
    run.rows := 0;
    run.unnumbered := 0;
    run.batches := 0;
    run.partitions := '{}';
    run.members := ARRAY(SELECT f FROM privacy_guard_internal.family(guarded.relation) f JOIN pg_class c ON c.oid = f
                          WHERE c.relkind = 'r'
                          ORDER BY privacy_guard_internal.partition_end(guarded, f), f);
    run.member := 1;
    run.resume_at := '-infinity';
    run.blocked := '{}';
    run.partition_action := 'rows';
    RETURN run;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.begin_run(privacy_guard.guarded_table, integer, text, jsonb, timestamptz, text) IS
    'A run that is to be stored with its first batch.';

-- Stored in the transaction that erases.
CREATE FUNCTION privacy_guard_internal.note_batch(
    run privacy_guard.retention_run, erased privacy_guard_internal.erased) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF run.batches = 1 THEN
        INSERT INTO privacy_guard.retention_run SELECT run.*;
        INSERT INTO privacy_guard.retention_state AS s (relation, last_started) VALUES (run.relation, run.started_at)
        ON CONFLICT ON CONSTRAINT retention_state_pkey DO UPDATE SET last_started = excluded.last_started;
    ELSE
        UPDATE privacy_guard.retention_run r
           SET rows = run.rows, unnumbered = run.unnumbered, batches = run.batches, partitions = run.partitions,
               cutoff = run.cutoff, first_start = run.first_start, last_start = run.last_start, member = run.member,
               resume_at = run.resume_at, blocked = run.blocked, ended_at = run.ended_at
         WHERE r.run_id = run.run_id;
    END IF;
    IF erased.rows > 0 THEN
        INSERT INTO privacy_guard.retention_batch VALUES (run.run_id, run.batches, erased.rows, erased.subjects);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.note_batch(privacy_guard.retention_run, privacy_guard_internal.erased) IS
    'Stores how far a run is, and whose rows its last batch has erased.';

CREATE FUNCTION privacy_guard_internal.has_receipt(run privacy_guard.retention_run) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.audit_flush();
    RETURN EXISTS (
        SELECT FROM privacy_guard_internal.all_records(run.started_at - interval '1 minute', NULL,
                        privacy_guard_internal.kind_bits('{retention}'), NULL, NULL) r
          LEFT JOIN privacy_guard_internal.rollbacks(0, 0) b USING (origin_id, session_id)
         WHERE r.object = run.run_id::text AND r.outcome = 'completed'
           AND (b.executions @> r.execution) IS NOT TRUE);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.has_receipt(privacy_guard.retention_run) IS
    'Whether the audit log holds the receipt of a run, although the crash of the server undid that it was said.';

CREATE FUNCTION privacy_guard_internal.say_receipt(run privacy_guard.retention_run, interrupted boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.audit_event('retention', 'Erase', run.run_id::text,
        relation => run.relation::oid, purpose => run.purpose, reason => run.cause, rows => run.rows,
        subjects => (SELECT privacy_guard.subject_set_union(b.subjects) FROM privacy_guard.retention_batch b
                      WHERE b.run_id = run.run_id),
        new => jsonb_strip_nulls(jsonb_build_object(
            'rule', run.retention_id, 'action', run.action, 'cutoff', run.cutoff,
            'from', run.first_start, 'to', run.last_start, 'started', run.started_at,
            'duration_ms', round(extract(epoch FROM coalesce(run.ended_at, clock_timestamp()) - run.started_at) * 1000),
            'batches', run.batches, 'partitions', nullif(to_jsonb(run.partitions), '[]'),
            'partition_action', CASE WHEN run.partitions <> '{}' THEN run.partition_action END,
            'blocked', nullif(cardinality(run.blocked), 0), 'unnumbered', nullif(run.unnumbered, 0),
            'interrupted', nullif(interrupted, false)))::text);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.say_receipt(privacy_guard.retention_run, boolean) IS
    'Puts on record what a run has erased.';

CREATE FUNCTION privacy_guard_internal.finish_run(run privacy_guard.retention_run, interrupted boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF run.rows > 0 AND NOT (interrupted AND privacy_guard_internal.has_receipt(run)) THEN
        PERFORM privacy_guard_internal.say_receipt(run, interrupted);
    END IF;
    DELETE FROM privacy_guard.retention_batch b WHERE b.run_id = run.run_id;
    DELETE FROM privacy_guard.retention_run r
     WHERE r.relation = run.relation AND r.cause = run.cause AND r.finished_at IS NOT NULL;
    UPDATE privacy_guard.retention_run r SET finished_at = clock_timestamp() WHERE r.run_id = run.run_id;
    UPDATE privacy_guard.retention_state s
       SET last_finished = clock_timestamp(), rows_total = s.rows_total + run.rows, failures = 0, last_error = NULL,
           last_sqlstate = NULL, next_attempt = '-infinity',
           rows_per_second = CASE WHEN interrupted OR run.rows = 0 THEN s.rows_per_second ELSE run.rows
               / greatest(extract(epoch FROM coalesce(run.ended_at, clock_timestamp()) - run.started_at), 0.001) END
     WHERE s.relation = run.relation;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.finish_run(privacy_guard.retention_run, boolean) IS
    'Says the receipt of a run, and forgets its batches.';

-- What a run leaves behind although it is due.
CREATE FUNCTION privacy_guard_internal.note_blocked(
    guarded privacy_guard.guarded_table, run privacy_guard.retention_run, cause text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass;
    key record;
    condition text := privacy_guard_internal.due_condition(guarded, run.action, '$1');
    found_rows bigint;
    rows bigint := 0;
    names text[] := '{}';
BEGIN
    IF cause IS NULL AND run.action = 'delete' THEN
        FOREACH member IN ARRAY run.members LOOP
            FOR key IN SELECT b.* FROM privacy_guard_internal.blocking_rows(member,
                                      (SELECT c.relowner FROM pg_class c WHERE c.oid = member), 't', clock_timestamp()) b
            LOOP
                found_rows := privacy_guard_internal.run_as_owner(member, format(
                    'SELECT to_jsonb(count(*)) FROM (SELECT FROM ONLY %s t WHERE %s AND %s LIMIT 10000) t',
                    member, condition, key.condition), run.cutoff::text)::bigint;
                IF found_rows > 0 THEN
                    rows := rows + found_rows;
                    names := names || key.name::text;
                END IF;
            END LOOP;
        END LOOP;
    END IF;
    IF cardinality(run.blocked) > 0 THEN
        rows := rows + cardinality(run.blocked);
        cause := coalesce(cause, 'rows that cannot be erased');
    END IF;
    INSERT INTO privacy_guard.retention_state AS s (relation, blocked, blocked_by)
    VALUES (run.relation, rows, nullif(array_to_string(names || cause, ', '), ''))
    ON CONFLICT ON CONSTRAINT retention_state_pkey
    DO UPDATE SET blocked = excluded.blocked, blocked_by = excluded.blocked_by
     WHERE (s.blocked, s.blocked_by) IS DISTINCT FROM (excluded.blocked, excluded.blocked_by);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.note_blocked(privacy_guard.guarded_table, privacy_guard.retention_run, text) IS
    'Counts the rows that are due and blocked, at most 10,000 for each foreign key, and names what blocks them.';

-- One batch, or one partition; the run is moved on, and ended_at set when nothing is left of it.
CREATE FUNCTION privacy_guard_internal.advance_run(
    INOUT run privacy_guard.retention_run, guarded privacy_guard.guarded_table, batch_size integer,
    OUT erased privacy_guard_internal.erased)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass := run.members[run.member];
    name text := member::text;
    whole boolean := false;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = member) THEN
        erased := (0, NULL, NULL, '{}', 0, 0, NULL, '{}')::privacy_guard_internal.erased;
    ELSE
        IF run.partition_action <> 'rows' AND run.action = 'delete' AND run.resume_at = '-infinity'
           AND privacy_guard_internal.partition_end(guarded, member) <= run.cutoff THEN
            erased := privacy_guard_internal.erase_partition(run, guarded, member, run.partition_action = 'detach');
            whole := erased.rows IS NOT NULL;
        END IF;
        IF whole THEN
            run.partitions := run.partitions || name;
        ELSE
            erased := privacy_guard_internal.erase_rows(run, guarded, member, batch_size);
        END IF;
    END IF;
    run.rows := run.rows + erased.rows;
    run.unnumbered := run.unnumbered + erased.unnumbered;
    run.first_start := least(run.first_start, erased.first_start);
    run.last_start := greatest(run.last_start, erased.last_start);
    run.resume_at := coalesce(erased.resume_at, run.resume_at);
    run.blocked := run.blocked || erased.blocked;
    IF whole OR erased.picked < batch_size OR cardinality(run.blocked) > 1000 THEN
        run.member := run.member + 1;
        run.resume_at := '-infinity';
        IF run.member > cardinality(run.members) THEN
            run.ended_at := clock_timestamp();
        END IF;
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.advance_run(privacy_guard.retention_run, privacy_guard.guarded_table, integer) IS
    'Erases the next rows of a run.';

-- What the rules say now: goes on with the run, or ends it.
CREATE FUNCTION privacy_guard_internal.check_run(
    INOUT run privacy_guard.retention_run, guarded privacy_guard.guarded_table, OUT goes_on boolean, OUT done boolean)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due record;
BEGIN
    SELECT * INTO due FROM privacy_guard_internal.erasure_due(guarded.relation, clock_timestamp());
    goes_on := due.cutoff IS NOT NULL AND guarded.retention_start IS NOT NULL;
    done := NOT goes_on;
    IF run.run_id IS NOT NULL AND (NOT goes_on
            OR (run.retention_id, run.action, run.masks) IS DISTINCT FROM (due.retention_id, due.action, due.masks)) THEN
        PERFORM privacy_guard_internal.finish_run(run, false);
        goes_on := false;
    ELSIF goes_on AND run.run_id IS NULL THEN
        run := privacy_guard_internal.begin_run(guarded, due.retention_id, due.action, due.masks, due.cutoff, 'expired');
        goes_on := NOT privacy_guard_internal.erase_is_foreign(guarded, run);
        done := NOT goes_on;
    END IF;
    IF goes_on THEN
        run.cutoff := least(run.cutoff, due.cutoff);
        run.partition_action := due.partitions;
        PERFORM privacy_guard_internal.erase_rule_checked(run.run_id);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.check_run(privacy_guard.retention_run, privacy_guard.guarded_table) IS
    'Begins a run where something is due; one whose rule was changed or removed gets its receipt.';

-- A rule that was changed or removed, or a hold that was placed, stops a run before its next batch.
CREATE FUNCTION privacy_guard_internal.erase_step(
    relation regclass, batch_size integer, OUT rows bigint, OUT done boolean, OUT action text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' SET jit = off AS $$
DECLARE
    guarded privacy_guard.guarded_table;
    run privacy_guard.retention_run;
    checked record;
    step record;
BEGIN
    rows := 0;
    done := true;
    IF NOT privacy_guard_internal.erase_claim(relation) THEN
        RETURN;
    END IF;
    SELECT * INTO guarded FROM privacy_guard.guarded_table g WHERE g.relation = erase_step.relation;
    SELECT * INTO run FROM privacy_guard.retention_run r
     WHERE r.relation = erase_step.relation AND r.cause = 'expired' AND r.finished_at IS NULL;
    action := run.action;
    IF run.ended_at IS NOT NULL THEN
        PERFORM privacy_guard_internal.finish_run(run, false);
        RETURN;
    END IF;
    IF run.run_id IS NULL OR NOT privacy_guard_internal.erase_rule_holds(run.run_id) THEN
        checked := privacy_guard_internal.check_run(run, guarded);
        run := checked.run;
        done := checked.done;
        action := run.action;
        IF NOT checked.goes_on THEN
            RETURN;
        END IF;
    END IF;
    LOOP
        step := privacy_guard_internal.advance_run(run, guarded, batch_size);
        run := step.run;
        EXIT WHEN (step.erased).picked > 0 OR run.ended_at IS NOT NULL;
    END LOOP;
    rows := (step.erased).rows;
    IF run.ended_at IS NOT NULL THEN
        PERFORM privacy_guard_internal.note_blocked(guarded, run, NULL);
    END IF;
    done := run.ended_at IS NOT NULL AND run.batches = 0 AND rows = 0;
    IF NOT done THEN
        run.batches := run.batches + 1;
        PERFORM privacy_guard_internal.note_batch(run, step.erased);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_step(regclass, integer) IS
    'One batch of what is due in a table, or the receipt of a run that has ended. Errors: 55P03 and what the table''s own triggers and constraints raise.';

CREATE FUNCTION privacy_guard_internal.erase_is_foreign(
    guarded privacy_guard.guarded_table, run privacy_guard.retention_run) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event text := CASE run.action WHEN 'delete' THEN 'DELETE' ELSE 'UPDATE' END;
    member regclass;
BEGIN
    SELECT m INTO member FROM unnest(run.members) m WHERE privacy_guard_internal.runs_foreign_code(m, event) LIMIT 1;
    IF member IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO privacy_guard.retention_state AS s (relation, blocked, blocked_by)
    VALUES (run.relation, (privacy_guard_internal.run_as_owner(run.relation, format('SELECT to_jsonb(count(*)) FROM %s t WHERE %s',
                               run.relation, privacy_guard_internal.due_condition(guarded, run.action, '$1')), run.cutoff::text))::bigint,
            format('code that would run as superuser (table %s)', member))
    ON CONFLICT ON CONSTRAINT retention_state_pkey
    DO UPDATE SET blocked = excluded.blocked, blocked_by = excluded.blocked_by
     WHERE (s.blocked, s.blocked_by) IS DISTINCT FROM (excluded.blocked, excluded.blocked_by);
    RETURN true;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_is_foreign(privacy_guard.guarded_table, privacy_guard.retention_run) IS
    'Whether erasing would run somebody''s code as superuser; then the rows are reported blocked.';

-- ---- what the eraser calls ----

-- Rows that others refer to come after those.
CREATE FUNCTION privacy_guard_internal.erasure_order() RETURNS TABLE (relation regclass, depth integer)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE edge(child, parent) AS (
        SELECT DISTINCT privacy_guard_internal.guarded_root(c.conrelid), privacy_guard_internal.guarded_root(c.confrelid)
          FROM pg_constraint c WHERE c.contype = 'f'),
    below(relation, depth) AS (
        SELECT g.relation, 0 FROM privacy_guard.guarded_table g
        UNION
        SELECT e.parent, b.depth + 1 FROM below b JOIN edge e ON e.child = b.relation
         WHERE e.parent <> e.child AND b.depth < (SELECT count(*) FROM privacy_guard.guarded_table))
    SELECT b.relation, max(b.depth) FROM below b WHERE b.relation IS NOT NULL GROUP BY b.relation $$;
COMMENT ON FUNCTION privacy_guard_internal.erasure_order() IS
    'Guarded tables and the longest way, by foreign keys, from one that none refers to.';

CREATE FUNCTION privacy_guard_internal.finish_interrupted_runs() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run privacy_guard.retention_run;
BEGIN
    FOR run IN SELECT * FROM privacy_guard.retention_run r WHERE r.finished_at IS NULL LOOP
        IF privacy_guard_internal.erase_claim(run.relation) THEN
            PERFORM privacy_guard_internal.finish_run(run, true);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.finish_interrupted_runs() IS
    'Says the receipts of runs that a crash or a stop of the server has interrupted.';

CREATE FUNCTION privacy_guard_internal.may_erase() RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT privacy_guard_internal.has_identity() AND NOT pg_is_in_recovery() $$;
COMMENT ON FUNCTION privacy_guard_internal.may_erase() IS 'Whether the guards are in force here; nothing is erased while they are pending.';

CREATE FUNCTION privacy_guard_internal.retention_work() RETURNS TABLE (task text, relation regclass)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT privacy_guard_internal.may_erase() THEN
        RETURN;
    END IF;
    PERFORM privacy_guard_internal.finish_interrupted_runs();
    RETURN QUERY
        SELECT 'rows', o.relation
          FROM privacy_guard_internal.erasure_order() o JOIN privacy_guard.guarded_table g USING (relation)
          LEFT JOIN privacy_guard.retention_state s USING (relation)
         WHERE g.retention_start IS NOT NULL AND EXISTS (SELECT FROM pg_class c WHERE c.oid = o.relation)
           AND coalesce(s.next_attempt, '-infinity') <= clock_timestamp()
           AND EXISTS (SELECT FROM privacy_guard.retention r WHERE r.relation = o.relation AND r.period IS NOT NULL)
         ORDER BY o.depth, o.relation::oid;
    RETURN QUERY
        SELECT 'unneeded', o.relation
          FROM privacy_guard_internal.erasure_order() o LEFT JOIN privacy_guard.retention_state s USING (relation)
         WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = o.relation)
           AND greatest(privacy_guard_internal.unneeded_at(o.relation), s.next_attempt) <= clock_timestamp()
           AND EXISTS (SELECT FROM privacy_guard.retention r
                        WHERE r.relation = o.relation AND r.erase_unneeded_after IS NOT NULL)
         ORDER BY o.depth, o.relation::oid;
    RETURN QUERY
        SELECT 'expire_consents', NULL::regclass
         WHERE privacy_guard_internal.expire_consents_at() <= clock_timestamp();
    RETURN QUERY
        SELECT t.task, NULL::regclass
          FROM (VALUES ('erasures', privacy_guard_internal.erasures_at()), ('proofs', privacy_guard_internal.proofs_end_at())) t (task, at)
         WHERE t.at <= clock_timestamp();
END $$;
COMMENT ON FUNCTION privacy_guard_internal.retention_work() IS
    'What the eraser has to do now, in this order; also finishes the runs that were interrupted.';

CREATE FUNCTION privacy_guard_internal.retention_step(task text, relation regclass, batch_size integer)
    RETURNS TABLE (rows bigint, done boolean)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    step record;
BEGIN
    CASE task
        WHEN 'rows' THEN
            step := privacy_guard_internal.erase_step(relation, batch_size);
            rows := step.rows;
            done := step.done;
        WHEN 'unneeded' THEN
            step := privacy_guard_internal.unneeded_step(relation, batch_size);
            rows := step.rows;
            done := step.done;
        WHEN 'expire_consents' THEN
            rows := privacy_guard_internal.expire_consents(batch_size);
            done := rows < batch_size;
        WHEN 'erasures' THEN
            rows := privacy_guard_internal.retry_erasures(batch_size);
            done := rows < batch_size;
        WHEN 'proofs' THEN
            rows := privacy_guard_internal.end_proofs(batch_size);
            done := rows < batch_size;
    END CASE;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.retention_step(text, regclass, integer) IS
    'One step of a task of retention_work(), to be repeated until done, each in a transaction of its own.';

-- The message of a trigger or constraint may hold values, so only what PostgreSQL calls the condition is kept.
CREATE FUNCTION privacy_guard_internal.error_text(state text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN state = '55P03' THEN 'a lock was not available in time'
        WHEN state = '57014' THEN 'cancelled, or longer than the time allowed'
        WHEN state = '40P01' THEN 'deadlock'
        WHEN state = '23503' THEN 'other rows refer to those to be erased'
        WHEN left(state, 2) = '23' THEN 'a constraint of the table stands against it'
        WHEN state = '42501' THEN 'the owner lacks a privilege, or a hold binds rows'
        WHEN state = '53400' THEN 'the audit log could not be written in time'
        WHEN left(state, 2) = '53' THEN 'the server lacks resources'
        WHEN left(state, 2) = 'P0' THEN 'a trigger of the table raised an error'
        ELSE 'an error of the table, its triggers or expressions' END $$;
COMMENT ON FUNCTION privacy_guard_internal.error_text(text) IS 'What an SQLSTATE means for erasing, without values.';

CREATE FUNCTION privacy_guard_internal.retention_failed(task text, relation regclass, sqlstate text, message text)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO privacy_guard.retention_state AS s
        (relation, last_error, last_sqlstate, failures, next_attempt)
    SELECT relation, privacy_guard_internal.error_text(sqlstate), sqlstate, 1, clock_timestamp() + interval '5 seconds'
     WHERE relation IS NOT NULL
    ON CONFLICT ON CONSTRAINT retention_state_pkey DO UPDATE
       SET last_error = excluded.last_error, last_sqlstate = excluded.last_sqlstate, failures = s.failures + 1,
           next_attempt = clock_timestamp() + least(interval '5 seconds' * 2 ^ least(s.failures, 10), interval '1 hour') $$;
COMMENT ON FUNCTION privacy_guard_internal.retention_failed(text, regclass, text, text) IS
    'Notes that a step failed; the next attempt comes later each time, at most after an hour.';

CREATE FUNCTION privacy_guard_internal.next_end(guarded privacy_guard.guarded_table) RETURNS timestamptz
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due record;
    next text;
BEGIN
    SELECT * INTO due FROM privacy_guard_internal.erasure_due(guarded.relation, clock_timestamp());
    IF due.cutoff IS NULL THEN
        RETURN (SELECT min(r.effective_from) FROM privacy_guard.retention r
                 WHERE r.relation = guarded.relation AND r.effective_from > clock_timestamp());
    END IF;
    next := privacy_guard_internal.run_as_owner(guarded.relation, format(
        'SELECT to_jsonb(%4$s) FROM %2$s t WHERE t.%1$I > %3$s ORDER BY t.%1$I LIMIT 1',
        guarded.retention_start, guarded.relation, privacy_guard_internal.start_bound(guarded.relation, '$1'),
        privacy_guard_internal.start_in_utc(guarded)),
        due.cutoff::text) #>> '{}';
    RETURN (next::timestamp + due.period) AT TIME ZONE 'UTC';
END $$;
COMMENT ON FUNCTION privacy_guard_internal.next_end(privacy_guard.guarded_table) IS
    'When the next row of a table will be due, of those that are there now.';

CREATE FUNCTION privacy_guard_internal.retention_due_at() RETURNS timestamptz
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(privacy_guard_internal.expire_consents_at(), privacy_guard_internal.erasures_at(),
                 privacy_guard_internal.proofs_end_at(), (
        SELECT min(greatest(least(privacy_guard_internal.next_end(g), privacy_guard_internal.unneeded_at(g.relation)),
                            s.next_attempt))
          FROM privacy_guard.guarded_table g LEFT JOIN privacy_guard.retention_state s USING (relation)
         WHERE g.retention_start IS NOT NULL
           AND EXISTS (SELECT FROM pg_class c WHERE c.oid = g.relation)
           AND EXISTS (SELECT FROM privacy_guard.retention r WHERE r.relation = g.relation)))
     WHERE privacy_guard_internal.may_erase() $$;
COMMENT ON FUNCTION privacy_guard_internal.retention_due_at() IS
    'When the eraser is needed next; NULL where nothing that is there will ever be due.';

-- A table that is no longer guarded: what is under way gets its receipt.
CREATE FUNCTION privacy_guard_internal.forget_erasing() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run privacy_guard.retention_run;
BEGIN
    FOR run IN SELECT * FROM privacy_guard.retention_run r WHERE r.relation = OLD.relation AND r.finished_at IS NULL LOOP
        PERFORM privacy_guard_internal.finish_run(run, true);
    END LOOP;
    DELETE FROM privacy_guard.retention_run r WHERE r.relation = OLD.relation;
    DELETE FROM privacy_guard.retention_state s WHERE s.relation = OLD.relation;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.forget_erasing() IS 'Trigger that forgets how erasing went in a table that is guarded no more.';
CREATE TRIGGER forget_erasing AFTER DELETE ON privacy_guard.guarded_table
    FOR EACH ROW EXECUTE FUNCTION privacy_guard_internal.forget_erasing();

-- ---- by hand ----

CREATE FUNCTION privacy_guard_internal.run_retention(relation regclass DEFAULT NULL)
    RETURNS TABLE (table_name regclass, action text, rows bigint, blocked bigint, blocked_by text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    batch_size integer := coalesce(nullif(current_setting('privacy_guard.erase_batch_size', true), ''), '1000');
    work record;
    task text;
    step record;
BEGIN
    IF relation IS NOT NULL THEN
        PERFORM privacy_guard_internal.require_guarded(relation);
    END IF;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'run_retention() cannot run in a transaction with isolation level %', current_setting('transaction_isolation')
            USING ERRCODE = 'invalid_transaction_state',
                  HINT = 'It would erase by rules that others may have changed since. Use READ COMMITTED.';
    ELSIF NOT privacy_guard_internal.may_erase() THEN
        RAISE EXCEPTION 'the guards of this database are pending'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'After a restore or copy, a data steward calls privacy_guard.finish_restore() first.';
    END IF;
    FOR work IN SELECT g.relation FROM privacy_guard_internal.erasure_order() o JOIN privacy_guard.guarded_table g USING (relation)
                 WHERE (run_retention.relation IS NULL OR g.relation = run_retention.relation)
                   AND EXISTS (SELECT FROM privacy_guard.retention r WHERE r.relation = g.relation)
                 ORDER BY o.depth, g.relation::oid
    LOOP
        table_name := work.relation;
        rows := 0;
        action := NULL;
        FOREACH task IN ARRAY '{rows,unneeded}'::text[] LOOP
            LOOP
                IF task = 'rows' THEN
                    step := privacy_guard_internal.erase_step(work.relation, batch_size);
                ELSE
                    step := privacy_guard_internal.unneeded_step(work.relation, batch_size);
                END IF;
                rows := rows + step.rows;
                action := coalesce(action, step.action);
                EXIT WHEN step.done;
            END LOOP;
        END LOOP;
        SELECT s.blocked, s.blocked_by INTO blocked, blocked_by FROM privacy_guard.retention_state s
         WHERE s.relation = work.relation;
        RETURN NEXT;
    END LOOP;
    WHILE run_retention.relation IS NULL AND privacy_guard_internal.expire_consents(batch_size) = batch_size LOOP
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.run_retention(regclass) IS
    'Erases what is due, of one table or of all, in this transaction; the eraser does the same in small ones. For all, also enters consent that has ended into the ledger. blocked counts what stays because others depend on it, or because it would run somebody''s code as superuser. Errors: 25000, 42P01, 55000, 55P03. GDPR Art. 5(1)(e), 17.';
CALL privacy_guard_internal.publish('run_retention', 'steward');

-- ---- how it goes ----

CREATE FUNCTION privacy_guard_internal.count_due(
    guarded privacy_guard.guarded_table, action text, cutoff timestamptz, period interval,
    OUT backlog bigint, OUT lag interval, OUT kept bigint, OUT null_starts bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    condition text;
    counted jsonb;
BEGIN
    IF guarded.retention_start IS NULL THEN
        RETURN;
    END IF;
    condition := privacy_guard_internal.due_condition(guarded, action, '$1');
    counted := privacy_guard_internal.run_as_owner(guarded.relation, format(
        'SELECT jsonb_build_object(''rows'', count(*), ''first'', min(start)) FROM'
        ' (SELECT %4$s AS start FROM %1$s t WHERE %3$s ORDER BY t.%2$I LIMIT 100000) t',
        guarded.relation, guarded.retention_start, condition, privacy_guard_internal.start_in_utc(guarded)), cutoff::text);
    backlog := counted ->> 'rows';
    lag := clock_timestamp() AT TIME ZONE 'UTC' - ((counted ->> 'first')::timestamp + period);
    kept := backlog - privacy_guard_internal.erase_pick(guarded.relation, guarded.relation, format(
        'SELECT to_jsonb(count(*)) FROM (SELECT FROM %1$s t WHERE %3$s ORDER BY t.%2$I LIMIT 100000) t',
        guarded.relation, guarded.retention_start, condition), cutoff::text)::bigint;
    null_starts := privacy_guard_internal.run_as_owner(guarded.relation, format(
        'SELECT to_jsonb(count(*)) FROM (SELECT FROM %s t WHERE t.%I IS NULL LIMIT 100000) t',
        guarded.relation, guarded.retention_start), VARIADIC '{}')::bigint;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.count_due(privacy_guard.guarded_table, text, timestamptz, interval) IS
    'What retention_status counts in a table; NULL where no start is known.';

CREATE FUNCTION privacy_guard_internal.read_retention_status()
    RETURNS TABLE (table_name regclass, rules bigint, action text, cutoff timestamptz, backlog bigint, lag interval,
                   kept bigint, null_starts bigint, blocked bigint, blocked_by text, rows_per_second real,
                   rows_total bigint, last_started timestamptz, last_finished timestamptz, last_sqlstate text,
                   last_error text, failures integer, next_attempt timestamptz, state text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
#variable_conflict use_column
DECLARE
    guarded privacy_guard.guarded_table;
    due record;
    unread text;
BEGIN
    FOR guarded IN SELECT g.* FROM privacy_guard.guarded_table g JOIN pg_class c ON c.oid = g.relation
                    WHERE g.retention_start IS NOT NULL
                       OR EXISTS (SELECT FROM privacy_guard.retention r WHERE r.relation = g.relation)
                    ORDER BY g.relation::oid
    LOOP
        SELECT * INTO due FROM privacy_guard_internal.erasure_due(guarded.relation, clock_timestamp());
        SELECT guarded.relation, count(*), due.action, due.cutoff INTO table_name, rules, action, cutoff
          FROM privacy_guard.retention r WHERE r.relation = guarded.relation;
        -- What one owner does to a table must not hide how the others fare.
        BEGIN
            unread := NULL;
            SELECT * INTO backlog, lag, kept, null_starts
              FROM privacy_guard_internal.count_due(guarded, due.action, due.cutoff, due.period);
        EXCEPTION WHEN OTHERS THEN
            SELECT NULL, NULL, NULL, NULL INTO backlog, lag, kept, null_starts;
            unread := privacy_guard_internal.error_text(SQLSTATE);
        END;
        SELECT coalesce(s.blocked, 0), s.blocked_by, s.rows_per_second, coalesce(s.rows_total, 0), s.last_started, s.last_finished,
               s.last_sqlstate, s.last_error, coalesce(s.failures, 0), nullif(s.next_attempt, '-infinity')
          INTO blocked, blocked_by, rows_per_second, rows_total, last_started, last_finished,
               last_sqlstate, last_error, failures, next_attempt
          FROM (SELECT) one LEFT JOIN privacy_guard.retention_state s ON s.relation = guarded.relation;
        state := CASE
            WHEN NOT privacy_guard_internal.may_erase() THEN 'pending'
            WHEN rules = 0 THEN 'no rule'
            WHEN failures > 0 THEN 'failing'
            WHEN unread IS NOT NULL THEN 'not readable: ' || unread
            WHEN due.kept_for IS NOT NULL
                 AND NOT EXISTS (SELECT FROM privacy_guard_internal.unneeded_due(guarded.relation, clock_timestamp()))
                THEN 'nothing is due: ' || due.kept_for
            WHEN EXISTS (SELECT FROM privacy_guard.retention_run r
                          WHERE r.relation = guarded.relation AND r.finished_at IS NULL) THEN 'erasing'
            WHEN blocked > 0 THEN 'blocked'
            WHEN backlog > kept THEN 'waiting'
            ELSE 'up to date' END;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.read_retention_status() IS 'The rows of privacy_guard.retention_status.';
CALL privacy_guard_internal.publish('read_retention_status', 'anyone');

CREATE VIEW privacy_guard.retention_status AS SELECT * FROM privacy_guard.read_retention_status();
COMMENT ON VIEW privacy_guard.retention_status IS
    'How erasing goes, one row a guarded table with storage durations. backlog: rows due now, kept: those of them that a hold or a restriction keeps, null_starts: rows that never end, each counted up to 100,000; lag: since when the oldest is due; blocked, blocked_by: due rows that others depend on, at the last run. For monitoring (pg_monitor), stewards and auditors.';
REVOKE ALL ON FUNCTION privacy_guard.read_retention_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION privacy_guard.read_retention_status() TO pg_monitor, privacy_guard_steward, privacy_guard_auditor;
GRANT SELECT ON privacy_guard.retention_status TO pg_monitor, privacy_guard_steward, privacy_guard_auditor;
