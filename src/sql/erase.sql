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
    failed_task text,
    failures integer NOT NULL DEFAULT 0,
    next_attempt timestamptz NOT NULL DEFAULT '-infinity',
    rows_total bigint NOT NULL DEFAULT 0,
    rows_per_second real,
    blocked bigint NOT NULL DEFAULT 0,
    blocked_by text);
COMMENT ON TABLE privacy_guard.retention_state IS 'How erasing goes, by guarded table: what retention_status shows.';
COMMENT ON COLUMN privacy_guard.retention_state.failed_task IS 'The task of retention_work() that failed last; its next success ends the failure.';
COMMENT ON COLUMN privacy_guard.retention_state.blocked IS 'Rows due at the last run that others depend on, or whose erasure would run somebody''s code as superuser.';

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
                     FROM unnest(privacy_guard_internal.subject_link(guarded)) c)) ELSE '' END $$;
COMMENT ON FUNCTION privacy_guard_internal.due_condition(privacy_guard.guarded_table, text, text) IS
    'The condition that a row t is due; what is anonymised already has no subject any more.';

CREATE FUNCTION privacy_guard_internal.erase_assignments(
    guarded privacy_guard.guarded_table, action text, masks jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%I = %s', a.name, a.value), ', ') FROM (
        SELECT m.key, privacy_guard_internal.mask_expression(guarded.relation, m.key::name, m.value, action)
          FROM jsonb_each_text(coalesce(masks, '{}')) m
         WHERE m.key <> ALL (guarded.subject_columns::text[]) AND m.key IS DISTINCT FROM guarded.retention_start::text
        UNION ALL
        SELECT c, 'NULL' FROM unnest(privacy_guard_internal.subject_link(guarded)) c WHERE action = 'anonymise'
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
