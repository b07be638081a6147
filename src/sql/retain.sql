-- Storage durations: who may see a row until when, and when it is due to be erased.

-- ---- when a duration has ended ----

CREATE FUNCTION privacy_guard_internal.duration_cutoff(at timestamptz, period interval) RETURNS timestamptz
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'duration_cutoff_at';
COMMENT ON FUNCTION privacy_guard_internal.duration_cutoff(timestamptz, interval) IS
    'The last start whose sum with the period, in UTC, is not later than at; what begins then or earlier has ended.';

CREATE FUNCTION privacy_guard_internal.duration_safe_cutoff(at timestamptz, period interval) RETURNS timestamptz
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'duration_safe_cutoff_at';
COMMENT ON FUNCTION privacy_guard_internal.duration_safe_cutoff(timestamptz, interval) IS
    'The greatest instant up to which everything has lived for the period by a given time, in UTC: what may be erased. Less than duration_cutoff() only near ends of months.';

CREATE FUNCTION privacy_guard_internal.subject_link(guarded privacy_guard.guarded_table) RETURNS name[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT CASE WHEN guarded.subject_via IS NULL THEN guarded.subject_columns ELSE ARRAY[guarded.subject_via] END $$;
COMMENT ON FUNCTION privacy_guard_internal.subject_link(privacy_guard.guarded_table) IS
    'The columns that connect a row with its data subjects.';

CREATE FUNCTION privacy_guard_internal.has_ended(relation regclass, since name) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(CASE privacy_guard_internal.column_type(relation, since)
                      WHEN 'timestamptz'::regtype THEN '%I <= $1::timestamptz'
                      WHEN 'timestamp'::regtype THEN '%I <= $1::timestamptz AT TIME ZONE ''UTC'''
                      ELSE '%I <= ($1::timestamptz AT TIME ZONE ''UTC'')::date' END, since)
           || CASE WHEN EXISTS (SELECT FROM privacy_guard.retention r
                                 WHERE r.relation = has_ended.relation AND r.action = 'anonymise')
                   THEN (SELECT format(' AND num_nonnulls(%s) > 0', string_agg(quote_ident(c), ', '))
                           FROM privacy_guard.guarded_table g, unnest(privacy_guard_internal.subject_link(g)) c
                          WHERE g.relation = has_ended.relation)
                   ELSE '' END $$;
COMMENT ON FUNCTION privacy_guard_internal.has_ended(regclass, name) IS
    'The condition, for its owner''s statements, that a row of a guarded table began at the cutoff $1 (a text) or earlier. What a rule has anonymised does not end again.';

CREATE FUNCTION privacy_guard_internal.count_rows(relation regclass, condition text, VARIADIC arguments text[] DEFAULT '{}')
    RETURNS bigint LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT privacy_guard_internal.run_as_owner(relation,
        format('SELECT to_jsonb(count(*)) FROM %s t WHERE %s', relation, condition), VARIADIC arguments)::bigint $$;
COMMENT ON FUNCTION privacy_guard_internal.count_rows(regclass, text, text[]) IS
    'How many rows of a guarded table meet a condition, past the guard. Only from within a verb.';

-- ---- what is due ----

-- A purpose whose rows live on keeps them for all. In plpgsql, which keeps the plan: the eraser asks before each batch.
CREATE FUNCTION privacy_guard_internal.endless_purpose(relation regclass, at timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT min(p.purpose) FROM privacy_guard.rule p JOIN privacy_guard.guarded_table g USING (relation)
         WHERE p.relation = endless_purpose.relation AND p.effect = 'permit'
           AND (p.category_id IS NULL OR p.category_id = g.category_id)
           AND NOT EXISTS (SELECT FROM privacy_guard.rule n
                            WHERE n.relation = p.relation AND n.effect = 'prohibit' AND n.created_at >= p.created_at
                              AND (n.category_id IS NULL OR n.category_id = g.category_id)
                              AND privacy_guard.covers(n.purpose, p.purpose))
           AND NOT EXISTS (SELECT FROM privacy_guard.retention d
                            WHERE d.relation = p.relation AND d.period IS NOT NULL AND d.effective_from <= at
                              AND (d.purpose IS NULL OR privacy_guard.covers(d.purpose, p.purpose))));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.endless_purpose(regclass, timestamptz) IS
    'A purpose that a rule permits and for which no storage duration is in effect; NULL where there is none.';

CREATE FUNCTION privacy_guard_internal.erasure_due(relation regclass, at timestamptz)
    RETURNS TABLE (retention_id integer, action text, masks jsonb, partitions text, period interval,
                   cutoff timestamptz, kept_for text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT d.retention_id, d.action, d.masks, d.partitions, d.period
      INTO erasure_due.retention_id, erasure_due.action, erasure_due.masks, erasure_due.partitions, erasure_due.period
      FROM privacy_guard.retention d
     WHERE d.relation = erasure_due.relation AND d.period IS NOT NULL AND d.effective_from <= at
     ORDER BY privacy_guard_internal.duration_cutoff(at, d.period),
              array_position('{delete,anonymise,pseudonymise}', d.action), d.retention_id LIMIT 1;
    kept_for := CASE
        WHEN NOT FOUND THEN 'not in effect'
        WHEN EXISTS (SELECT FROM privacy_guard.guarded_table g
                      WHERE g.relation = erasure_due.relation AND g.mode = 'monitor') THEN 'monitor'
        ELSE privacy_guard_internal.endless_purpose(erasure_due.relation, at) END;
    IF kept_for IS NULL THEN
        -- One that is not in effect yet can only prolong.
        SELECT min(privacy_guard_internal.duration_safe_cutoff(at, d.period)) INTO cutoff
          FROM privacy_guard.retention d WHERE d.relation = erasure_due.relation;
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erasure_due(regclass, timestamptz) IS
    'What is due to be erased at a time: rows that began at the cutoff or earlier, by the longest rule in effect. cutoff NULL: nothing, and kept_for says why (a purpose, monitor, not in effect).';

-- ---- what retain() is told ----

CREATE FUNCTION privacy_guard_internal.require_period(period interval, parameter text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF least(extract(year FROM period), extract(month FROM period), extract(day FROM period), extract(hour FROM period),
             extract(minute FROM period), extract(second FROM period)) < 0
       OR period <= interval '0' OR period > interval '6000 years' THEN
        RAISE EXCEPTION 'parameter "%" is no storage duration', parameter
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is more than nothing, at most 6000 years, and no part of it is negative.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_period(interval, text) IS 'Refuses what is no storage duration; NULL passes. Errors: 22023.';

CREATE FUNCTION privacy_guard_internal.require_start(relation regclass, since name) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type regtype;
BEGIN
    PERFORM privacy_guard_internal.require(since, 'since');
    type := privacy_guard_internal.column_type(relation, since);
    IF type NOT IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN
        RAISE EXCEPTION 'column "%" of table % has type %, from which no storage duration can count', since, relation, type
            USING ERRCODE = 'datatype_mismatch', HINT = 'The start is a date, timestamp or timestamptz.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_start(regclass, name) IS
    'Refuses a column from which no storage duration can count. Errors: 22004, 42703, 42804.';

-- What the row is left as must be possible in each of the table's partitions and children.
CREATE FUNCTION privacy_guard_internal.require_anonymisable(guarded privacy_guard.guarded_table) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fixed name;
BEGIN
    SELECT a.attname INTO fixed
      FROM privacy_guard_internal.family(guarded.relation) f JOIN pg_attribute a ON a.attrelid = f
      JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attname = ANY (privacy_guard_internal.subject_link(guarded)) AND (a.attnotnull OR t.typnotnull)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" of table % must not be null, so its rows cannot be anonymised', fixed, guarded.relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Drop NOT NULL from the columns that name the data subjects, or choose another action.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_anonymisable(privacy_guard.guarded_table) IS
    'Refuses a table whose subject columns cannot be emptied. Errors: 55000.';

-- A row that was pseudonymised is marked by a start of infinity.
CREATE FUNCTION privacy_guard_internal.require_markable(relation regclass, since name) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM privacy_guard_internal.family(relation) f JOIN pg_attribute a ON a.attrelid = f
                WHERE a.attname = since
                  AND (a.attgenerated <> ''
                       OR EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = f
                                     AND (a.attnum = ANY (p.partattrs::smallint[]) OR 0 = ANY (p.partattrs::smallint[])))))
    THEN
        RAISE EXCEPTION 'column "%" of table % cannot be set, so its rows cannot be pseudonymised', since, relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'A pseudonymised row gets infinity as its start, which must be neither generated nor part of a partition key. Choose another action or start.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_markable(regclass, name) IS
    'Refuses a start column that pseudonymise could not set to infinity. Errors: 55000.';

CREATE FUNCTION privacy_guard_internal.require_masks(guarded privacy_guard.guarded_table, since name, action text, masks jsonb)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    col name;
    kind jsonb;
BEGIN
    IF masks IS NULL THEN
        IF action = 'pseudonymise' THEN
            RAISE EXCEPTION 'pseudonymise needs masks'
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Name the columns and what becomes of them, as in masks => ''{"name": "pseudonym"}''.';
        END IF;
        RETURN;
    END IF;
    IF action = 'delete' OR jsonb_typeof(masks) <> 'object' OR masks = '{}' THEN
        RAISE EXCEPTION 'parameter "masks" does not fit action %', action
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'anonymise and pseudonymise take an object of columns and masks, as in ''{"name": "redact"}''.';
    END IF;
    FOR col, kind IN SELECT m.key, m.value FROM jsonb_each(masks) m LOOP
        PERFORM privacy_guard_internal.column_type(guarded.relation, col);
        IF col = since OR (action = 'anonymise' AND col = ANY (privacy_guard_internal.subject_link(guarded))) THEN
            RAISE EXCEPTION 'column "%" of table % cannot have a mask', col, guarded.relation
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Its value is set by the action itself; see privacy_guard.retain().';
        ELSIF col = ANY (privacy_guard_internal.subject_link(guarded)) AND kind #>> '{}' NOT IN ('null', 'pseudonym') THEN
            RAISE EXCEPTION 'mask "%" of column "%" of table % could name another data subject', kind #>> '{}', col, guarded.relation
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Use null or pseudonym for columns that name the data subjects.';
        END IF;
        PERFORM privacy_guard_internal.mask_expression(guarded.relation, col, kind #>> '{}', action);
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_masks(privacy_guard.guarded_table, name, text, jsonb) IS
    'Refuses masks that do not fit the action or the columns. Errors: 22023, 42703, 42804.';

-- ---- what a rule does ----

CREATE FUNCTION privacy_guard_internal.start_is_indexed(relation regclass, since name) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT NOT EXISTS (
        SELECT FROM privacy_guard_internal.family(relation) f JOIN pg_class c ON c.oid = f AND c.relkind = 'r'
          JOIN pg_attribute a ON a.attrelid = f AND a.attname = since
         WHERE NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                             JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
                            WHERE i.indrelid = f AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL)) $$;
COMMENT ON FUNCTION privacy_guard_internal.start_is_indexed(regclass, name) IS
    'Whether rows can be found by their start, in the table and each partition or child.';

-- A table through which others reach their subjects may belong to somebody else.
CREATE FUNCTION privacy_guard_internal.count_about(relation regclass, condition text, cutoff timestamptz, keys text[])
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF cardinality(keys) = 0 THEN
        RETURN 0;
    END IF;
    RETURN privacy_guard_internal.count_rows(relation, format('%s AND (%s)', condition,
        privacy_guard_internal.about_subjects(privacy_guard_internal.require_guarded(relation), 't', '$2')), cutoff::text, keys::text);
EXCEPTION WHEN insufficient_privilege THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.count_about(regclass, text, timestamptz, text[]) IS
    'How many of the rows that have ended are about these subjects; NULL where the table''s owner may not read how they are reached.';

CREATE FUNCTION privacy_guard_internal.held_keys(guarded privacy_guard.guarded_table) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(DISTINCT s.key)
      FROM privacy_guard.hold h JOIN privacy_guard.subject_state s USING (subject)
     WHERE h.category_id = guarded.category_id AND (h.relation IS NULL OR h.relation = guarded.relation) $$;
COMMENT ON FUNCTION privacy_guard_internal.held_keys(privacy_guard.guarded_table) IS
    'The data subjects of a table that are under a legal hold there.';

CREATE FUNCTION privacy_guard_internal.preview_rule(
    rule privacy_guard.retention, since name, OUT then_at timestamptz, OUT cutoff_now timestamptz, OUT cutoff_then timestamptz,
    OUT rows_hidden bigint, OUT rows_due bigint, OUT rows_held bigint, OUT rows_restricted bigint,
    OUT null_starts bigint, OUT start_indexed boolean, OUT kept_for text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    guarded privacy_guard.guarded_table := privacy_guard_internal.require_guarded(rule.relation);
    condition text;
    due timestamptz;
BEGIN
    IF rule.period IS NULL THEN
        RETURN;
    END IF;
    then_at := greatest(rule.effective_from, clock_timestamp());
    cutoff_now := privacy_guard_internal.duration_cutoff(clock_timestamp(), rule.period);
    cutoff_then := privacy_guard_internal.duration_cutoff(then_at, rule.period);
    condition := privacy_guard_internal.has_ended(rule.relation, since);
    rows_hidden := privacy_guard_internal.count_rows(rule.relation, condition, cutoff_then::text);
    null_starts := privacy_guard_internal.count_rows(rule.relation, format('%I IS NULL', since));
    start_indexed := privacy_guard_internal.start_is_indexed(rule.relation, since);
    SELECT e.cutoff, e.kept_for INTO due, kept_for FROM privacy_guard_internal.erasure_due(rule.relation, then_at) e;
    IF due IS NULL THEN
        SELECT 0, 0, 0 INTO rows_due, rows_held, rows_restricted;
        RETURN;
    END IF;
    rows_due := privacy_guard_internal.count_rows(rule.relation, condition, due::text);
    rows_held := CASE
        WHEN EXISTS (SELECT FROM privacy_guard.hold h WHERE h.relation = rule.relation AND h.subject IS NULL) THEN rows_due
        ELSE privacy_guard_internal.count_about(rule.relation, condition, due,
                 coalesce(privacy_guard_internal.held_keys(guarded), '{}')) END;
    rows_restricted := privacy_guard_internal.count_about(rule.relation, condition, due,
        ARRAY(SELECT s.key FROM privacy_guard.subject_state s WHERE s.restricted AND s.category_id = guarded.category_id));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.preview_rule(privacy_guard.retention, name) IS
    'What a rule does with rows that count from this column, when it takes effect, or now where it has.';

CREATE FUNCTION privacy_guard_internal.retention_preview(relation regclass DEFAULT NULL)
    RETURNS TABLE (table_name regclass, purpose text, action text, period interval, effective_from timestamptz,
                   cutoff_now timestamptz, cutoff_then timestamptz, rows_hidden bigint, rows_due bigint, rows_held bigint,
                   rows_restricted bigint, null_starts bigint, start_indexed boolean, kept_for text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF relation IS NOT NULL THEN
        PERFORM privacy_guard_internal.require_guarded(relation);
    END IF;
    RETURN QUERY
        SELECT r.relation, r.purpose, r.action, r.period, r.effective_from, p.cutoff_now, p.cutoff_then, p.rows_hidden,
               p.rows_due, p.rows_held, p.rows_restricted, p.null_starts, p.start_indexed, p.kept_for
          FROM privacy_guard.retention r JOIN privacy_guard.guarded_table g USING (relation)
         CROSS JOIN LATERAL privacy_guard_internal.preview_rule(r, g.retention_start) p
         WHERE retention_preview.relation IS NULL OR r.relation = retention_preview.relation
         ORDER BY r.relation::text, r.purpose NULLS FIRST;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.retention_preview(regclass) IS
    'What the storage durations of a table, or of all, do: one row a rule. cutoff_now, cutoff_then: rows that began then or earlier have ended, now and when the rule takes effect (now where it has). rows_hidden: of those, at cutoff_then. rows_due: those that no duration keeps any more, of them rows_held under a legal hold and rows_restricted (Art. 18), which stay. kept_for: why nothing is due. null_starts never end. start_indexed: the eraser finds rows by an index. Counts every row. Errors: 22004, 42P01, 42501, 55000. GDPR Art. 5(1)(e).';
CALL privacy_guard_internal.publish('retention_preview', 'steward');

CREATE FUNCTION privacy_guard_internal.announce_rule(rule privacy_guard.retention, since name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    preview record := privacy_guard_internal.preview_rule(rule, since);
    moment text := CASE WHEN rule.effective_from > clock_timestamp()
        THEN to_char(rule.effective_from AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') ELSE 'now' END;
BEGIN
    IF preview.then_at IS NULL THEN
        RETURN;
    END IF;
    RAISE NOTICE 'rows of table % that are hidden from % on: %, due to be erased: %',
                 rule.relation, moment, preview.rows_hidden, preview.rows_due
        USING HINT = 'privacy_guard.retention_preview() shows it again; privacy_guard.unretain() takes it back.';
    IF preview.kept_for = 'monitor' THEN
        RAISE NOTICE 'nothing is erased from table %, which is only monitored', rule.relation
            USING HINT = 'Switch it with privacy_guard.set_mode().';
    ELSIF preview.kept_for IS NOT NULL THEN
        RAISE NOTICE 'purpose "%" has no storage duration and keeps the rows of table %', preview.kept_for, rule.relation
            USING HINT = 'Give it one with privacy_guard.retain(), or leave out the purpose for one that holds for all.';
    END IF;
    IF NOT preview.start_indexed THEN
        RAISE NOTICE 'no index of table % begins with column "%"', rule.relation, since
            USING HINT = format('Without one each batch of the eraser reads the whole table: CREATE INDEX ON %s (%I);', rule.relation, since);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.announce_rule(privacy_guard.retention, name) IS 'Tells who made a rule what it will do.';

-- ---- retain ----

CREATE FUNCTION privacy_guard_internal.set_retention_start(relation regclass, since name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE privacy_guard.guarded_table g SET retention_start = since WHERE g.relation = set_retention_start.relation;
    -- Also tells every session that plans of before are of no use.
    PERFORM privacy_guard_internal.adopt(relation);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.set_retention_start(regclass, name) IS
    'Lets the guard of a table take the start column, or no more. Under an ACCESS EXCLUSIVE lock.';

CREATE FUNCTION privacy_guard_internal.retain(
    relation regclass, period interval, since name, action text DEFAULT 'delete', purpose text DEFAULT NULL,
    effective_from timestamptz DEFAULT now() + interval '1 day', masks jsonb DEFAULT NULL,
    partitions text DEFAULT 'drop', erase_unneeded_after interval DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    guarded privacy_guard.guarded_table := privacy_guard_internal.require_guarded(retain.relation);
    old privacy_guard.retention;
    made privacy_guard.retention;
BEGIN
    PERFORM privacy_guard_internal.require_choice(retain.action, 'action', 'delete', 'anonymise', 'pseudonymise');
    PERFORM privacy_guard_internal.require_choice(retain.partitions, 'partitions', 'drop', 'detach', 'rows');
    PERFORM privacy_guard_internal.require(retain.effective_from, 'effective_from');
    PERFORM privacy_guard_internal.require_period(retain.period, 'period');
    PERFORM privacy_guard_internal.require_period(retain.erase_unneeded_after, 'erase_unneeded_after');
    IF num_nonnulls(retain.period, retain.erase_unneeded_after) = 0 THEN
        RAISE EXCEPTION 'retain() needs a period'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Only with erase_unneeded_after may it be null.';
    END IF;
    IF NOT isfinite(retain.effective_from) THEN
        RAISE EXCEPTION 'effective_from must be a moment in time'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass now() for a rule that holds at once.';
    END IF;
    IF retain.purpose IS NOT NULL THEN
        PERFORM privacy_guard_internal.require_purpose(retain.purpose);
        PERFORM FROM privacy_guard.purpose p WHERE p.path = retain.purpose FOR KEY SHARE;
    END IF;
    PERFORM FROM privacy_guard.guarded_table g WHERE g.relation = retain.relation FOR UPDATE;
    guarded := privacy_guard_internal.require_guarded(retain.relation);
    IF num_nonnulls(retain.period, retain.since) > 0 THEN
        PERFORM privacy_guard_internal.require_start(retain.relation, retain.since);
        IF guarded.retention_start <> retain.since
           AND EXISTS (SELECT FROM privacy_guard.retention r
                        WHERE r.relation = retain.relation AND r.purpose IS DISTINCT FROM retain.purpose) THEN
            RAISE EXCEPTION 'the storage durations of table % count from column "%"', retain.relation, guarded.retention_start
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'All rules of a table have one start. Remove the others first, with privacy_guard.unretain().';
        END IF;
    END IF;
    IF retain.action = 'anonymise' THEN
        PERFORM privacy_guard_internal.require_anonymisable(guarded);
    ELSIF retain.action = 'pseudonymise' THEN
        PERFORM privacy_guard_internal.require(coalesce(retain.since, guarded.retention_start), 'since');
        PERFORM privacy_guard_internal.require_markable(retain.relation, coalesce(retain.since, guarded.retention_start));
    END IF;
    PERFORM privacy_guard_internal.require_masks(guarded, coalesce(retain.since, guarded.retention_start),
                                                 retain.action, retain.masks);
    SELECT * INTO old FROM privacy_guard.retention r
     WHERE r.relation = retain.relation AND r.purpose IS NOT DISTINCT FROM retain.purpose;
    IF old.effective_from <= clock_timestamp() AND retain.effective_from > clock_timestamp() THEN
        RAISE NOTICE 'what the former storage duration of table % hid is seen again until % UTC', retain.relation,
                     date_trunc('second', retain.effective_from AT TIME ZONE 'UTC')
            USING HINT = 'Replace it without a gap by effective_from => now().';
    END IF;
    -- A rule that takes another's place is another rule: what was begun under the old one ends.
    INSERT INTO privacy_guard.retention AS r (relation, purpose, period, action, masks, partitions, erase_unneeded_after,
                                              effective_from, created_by)
    VALUES (retain.relation, retain.purpose, retain.period, retain.action, retain.masks, retain.partitions,
            retain.erase_unneeded_after, retain.effective_from, privacy_guard_internal.invoker()::text)
    ON CONFLICT (relation, (coalesce(purpose, '')))
    DO UPDATE SET retention_id = DEFAULT, period = excluded.period, action = excluded.action, masks = excluded.masks,
                  partitions = excluded.partitions, erase_unneeded_after = excluded.erase_unneeded_after,
                  effective_from = excluded.effective_from, created_by = excluded.created_by,
                  created_at = excluded.created_at
    RETURNING r.* INTO made;
    -- Counting comes before the lock, which nobody should have to wait for.
    PERFORM privacy_guard_internal.announce_rule(made, coalesce(retain.since, guarded.retention_start));
    IF guarded.retention_start IS DISTINCT FROM retain.since AND retain.since IS NOT NULL THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', retain.relation);
        PERFORM privacy_guard_internal.set_retention_start(retain.relation, retain.since);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.retain(regclass, interval, name, text, text, timestamptz, jsonb, text, interval) IS
    'Lets rows of a guarded table live for a period from the date or time in column since on (date and timestamp are UTC, months end as PostgreSQL adds them; NULL and infinity never end): for one purpose and those below it or, with purpose NULL, for all that have none of their own. A row past it is seen no more, at once; when all durations of the table have ended for it, it is erased. From effective_from on; called again it replaces the rule. action: delete, anonymise (the subject columns become NULL, masks change others), pseudonymise (masks only, the start becomes infinity). masks: ''{"column": "kind"}'' of null, redact, partial, year, month, range:N, prefix:N and, for pseudonymise, pseudonym. partitions: whole ones past their time are dropped, detached, or their rows erased (drop, detach, rows); what was detached stays guarded, with no purpose permitted. erase_unneeded_after: rows that no purpose has a live basis for are due so long after. The first rule of a table takes an ACCESS EXCLUSIVE lock for a moment and honours lock_timeout. Errors: 22004, 22023, 42703, 42704, 42804, 55000. GDPR Art. 5(1)(e), 25.';
CALL privacy_guard_internal.publish('retain', 'steward');

CREATE FUNCTION privacy_guard_internal.unretain(relation regclass, purpose text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    guarded privacy_guard.guarded_table;
BEGIN
    PERFORM FROM privacy_guard.guarded_table g WHERE g.relation = unretain.relation FOR UPDATE;
    guarded := privacy_guard_internal.require_guarded(relation);
    DELETE FROM privacy_guard.retention r
     WHERE r.relation = unretain.relation AND r.purpose IS NOT DISTINCT FROM unretain.purpose;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % has no such storage duration', relation
            USING ERRCODE = 'undefined_object',
                  HINT = 'privacy_guard.storage_durations lists them; the one without purpose is the table''s own.';
    END IF;
    IF guarded.retention_start IS NULL
       OR EXISTS (SELECT FROM privacy_guard.retention r WHERE r.relation = unretain.relation) THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', relation);
        PERFORM privacy_guard_internal.set_retention_start(relation, NULL);
    EXCEPTION WHEN lock_not_available OR object_in_use THEN
        RAISE NOTICE 'column "%" of table % stays the start of storage durations, because the table is in use',
                     guarded.retention_start, relation
            USING HINT = 'It does nothing without a rule, but cannot be dropped. privacy_guard.retain() can replace it.';
    END;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.unretain(regclass, text) IS
    'Removes the storage duration of a purpose or, with purpose NULL, the table''s own; what it hid is seen again, and nothing more is erased by it. Errors: 22004, 42704, 55000.';
CALL privacy_guard_internal.publish('unretain', 'steward');

CREATE VIEW privacy_guard.storage_durations AS
    SELECT r.relation AS table_name, r.purpose, r.period, g.retention_start AS since, r.action, r.masks, r.partitions,
           r.erase_unneeded_after, r.effective_from, r.effective_from <= clock_timestamp() AS in_effect,
           r.created_by, r.created_at
      FROM privacy_guard.retention r JOIN privacy_guard.guarded_table g USING (relation);
COMMENT ON VIEW privacy_guard.storage_durations IS
    'How long rows of guarded tables may live (retain()); purpose NULL is for all that have no duration of their own. For stewards and auditors.';
GRANT SELECT ON privacy_guard.storage_durations TO privacy_guard_steward, privacy_guard_auditor;
