-- Runs of erasing: what the eraser calls, what stewards call, and how it goes.

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

CREATE FUNCTION privacy_guard_internal.note_success(relation regclass, task text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE privacy_guard.retention_state s
       SET failures = 0, failed_task = NULL, last_error = NULL, last_sqlstate = NULL, next_attempt = '-infinity'
     WHERE s.relation = note_success.relation AND s.failed_task = note_success.task $$;
COMMENT ON FUNCTION privacy_guard_internal.note_success(regclass, text) IS
    'A task of retention_work() has come to its end: no failure of it is left.';

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
       SET last_finished = clock_timestamp(), rows_total = s.rows_total + run.rows,
           rows_per_second = CASE WHEN interrupted OR run.rows = 0 THEN s.rows_per_second ELSE run.rows
               / greatest(extract(epoch FROM coalesce(run.ended_at, clock_timestamp()) - run.started_at), 0.001) END
     WHERE s.relation = run.relation;
    IF NOT interrupted THEN
        PERFORM privacy_guard_internal.note_success(run.relation, CASE run.cause WHEN 'expired' THEN 'rows' ELSE run.cause END);
    END IF;
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
    began timestamptz := clock_timestamp();
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
            PERFORM privacy_guard_internal.note_success(relation, 'rows') WHERE done;
            RETURN;
        END IF;
    END IF;
    LOOP
        step := privacy_guard_internal.advance_run(run, guarded, batch_size);
        run := step.run;
        -- Members without due rows may be many; how far it is must be kept before the time of the step is over.
        EXIT WHEN (step.erased).picked > 0 OR run.ended_at IS NOT NULL OR clock_timestamp() > began + interval '1 second';
    END LOOP;
    rows := (step.erased).rows;
    IF run.ended_at IS NOT NULL THEN
        PERFORM privacy_guard_internal.note_blocked(guarded, run, NULL);
    END IF;
    done := run.ended_at IS NOT NULL AND run.batches = 0 AND rows = 0;
    IF done THEN
        PERFORM privacy_guard_internal.note_success(relation, 'rows');
    ELSE
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
    VALUES (run.relation,
            CASE WHEN run.cause = 'expired' THEN (privacy_guard_internal.run_as_owner(run.relation, format(
                'SELECT to_jsonb(count(*)) FROM (SELECT FROM %s t WHERE %s LIMIT 10000) t', run.relation,
                privacy_guard_internal.due_condition(guarded, run.action, '$1')), run.cutoff::text))::bigint ELSE 0 END,
            format('code that would run as superuser (table %s)', member))
    ON CONFLICT ON CONSTRAINT retention_state_pkey
    DO UPDATE SET blocked = CASE WHEN run.cause = 'expired' THEN excluded.blocked ELSE s.blocked END,
                  blocked_by = excluded.blocked_by
     WHERE (s.blocked, s.blocked_by) IS DISTINCT FROM (excluded.blocked, excluded.blocked_by);
    RETURN true;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_is_foreign(privacy_guard.guarded_table, privacy_guard.retention_run) IS
    'Whether erasing would run somebody''s code as superuser; then that is reported, with at most 10,000 rows past their duration.';

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
            done := NOT privacy_guard_internal.retry_next_erasure();
            rows := CASE WHEN done THEN 0 ELSE 1 END;
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

CREATE FUNCTION privacy_guard_internal.retention_failed(task text, relation regclass, state text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF task = 'erasures' THEN
        PERFORM privacy_guard_internal.put_off_erasure(privacy_guard_internal.due_erasure(), state);
    ELSIF relation IS NOT NULL THEN
        INSERT INTO privacy_guard.retention_state AS s
            (relation, last_error, last_sqlstate, failed_task, failures, next_attempt)
        VALUES (relation, privacy_guard_internal.error_text(state), state, task, 1, clock_timestamp() + interval '5 seconds')
        ON CONFLICT ON CONSTRAINT retention_state_pkey DO UPDATE
           SET last_error = excluded.last_error, last_sqlstate = excluded.last_sqlstate, failed_task = excluded.failed_task,
               failures = s.failures + 1,
               next_attempt = clock_timestamp() + least(interval '5 seconds' * 2 ^ least(s.failures, 10), interval '1 hour');
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.retention_failed(text, regclass, text) IS
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
         WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = g.relation)
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
