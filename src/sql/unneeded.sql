-- Data that no purpose needs any more: see src/retention/basis.c for when that is.

CREATE FUNCTION privacy_guard_internal.has_live_basis(relation regclass, state privacy_guard.subject_state)
    RETURNS boolean
    LANGUAGE C STABLE STRICT AS 'MODULE_PATHNAME', 'basis_of_state';
COMMENT ON FUNCTION privacy_guard_internal.has_live_basis(regclass, privacy_guard.subject_state) IS
    'Whether a purpose that the table permits has a basis for the data of a subject, by this state and the bases on record now. Restrictions end no basis. True where the table permits nothing, or guards are not in force.';

CREATE FUNCTION privacy_guard_internal.has_live_basis(relation regclass, subject bigint) RETURNS boolean
    LANGUAGE C STABLE STRICT AS 'MODULE_PATHNAME', 'basis_of_subject';
COMMENT ON FUNCTION privacy_guard_internal.has_live_basis(regclass, bigint) IS
    'The same by the state of now, whatever the transaction''s snapshot.';

-- Rules that are not in effect yet can only prolong.
CREATE FUNCTION privacy_guard_internal.unneeded_due(relation regclass, at timestamptz)
    RETURNS TABLE (retention_id integer, action text, masks jsonb, noted_before timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.retention_id, r.action, r.masks,
           (SELECT min(at - o.erase_unneeded_after) FROM privacy_guard.retention o WHERE o.relation = r.relation)
      FROM privacy_guard.retention r JOIN privacy_guard.guarded_table g ON g.relation = r.relation
     WHERE r.relation = unneeded_due.relation AND r.erase_unneeded_after IS NOT NULL
       AND r.effective_from <= at AND g.mode = 'enforce'
     ORDER BY at - r.erase_unneeded_after, array_position('{delete,anonymise,pseudonymise}', r.action), r.retention_id
     LIMIT 1 $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_due(regclass, timestamptz) IS
    'The rule by which rows that no purpose needs are erased, and since when they must have been noted. No row: nothing is due.';

CREATE FUNCTION privacy_guard_internal.unneeded_sweep(relation regclass, batch integer) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category integer;
    pass privacy_guard.unneeded_pass;
    seen record;
BEGIN
    SELECT g.category_id INTO category FROM privacy_guard.guarded_table g
     WHERE g.relation = unneeded_sweep.relation AND EXISTS (
           SELECT FROM privacy_guard.retention r
            WHERE r.relation = g.relation AND r.erase_unneeded_after IS NOT NULL);
    IF NOT FOUND THEN
        PERFORM privacy_guard_internal.forget_unneeded(relation);
        RETURN 0;
    END IF;
    INSERT INTO privacy_guard.unneeded_pass (relation) VALUES (unneeded_sweep.relation)
        ON CONFLICT ON CONSTRAINT unneeded_pass_pkey DO UPDATE
           SET started_at = clock_timestamp() WHERE unneeded_pass.next_subject = 0;
    SELECT * INTO STRICT pass FROM privacy_guard.unneeded_pass p WHERE p.relation = unneeded_sweep.relation FOR UPDATE;
    SELECT count(*) AS subjects, max(j.subject) AS last,
           array_agg(j.subject) FILTER (WHERE j.live) AS needed,
           array_agg(j.subject) FILTER (WHERE NOT j.live) AS unneeded
      INTO seen
      FROM (SELECT s.subject,
                   CASE WHEN s.category_id = category
                        THEN privacy_guard_internal.has_live_basis(unneeded_sweep.relation, s) END AS live
              FROM privacy_guard.subject_state s
             WHERE s.subject > pass.next_subject ORDER BY s.subject LIMIT batch) j;
    DELETE FROM privacy_guard.unneeded_since u
     WHERE u.relation = unneeded_sweep.relation AND u.subject = ANY (seen.needed);
    INSERT INTO privacy_guard.unneeded_since (relation, subject)
        SELECT unneeded_sweep.relation, n FROM unnest(seen.unneeded) n
        ON CONFLICT ON CONSTRAINT unneeded_since_pkey DO NOTHING;
    UPDATE privacy_guard.unneeded_pass p
       SET next_subject = CASE WHEN seen.subjects < batch THEN 0 ELSE seen.last END,
           finished_at = CASE WHEN seen.subjects < batch THEN clock_timestamp() ELSE p.finished_at END
     WHERE p.relation = unneeded_sweep.relation;
    RETURN seen.subjects;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_sweep(regclass, integer) IS
    'Looks at so many more data subjects, notes those for whose data in the table no purpose has a basis, and forgets those for whom one has again. Returns how many it has looked at; fewer than batch: all have been.';

-- Between two passes a basis may have come and gone; then the time begins again.
CREATE FUNCTION privacy_guard_internal.basis_recorded_since(subject bigint, since timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM privacy_guard.consent_record r
                    WHERE r.pii_principal_id = subject AND r.recorded_at >= since
                      AND r.event_state IN ('given', 'renewed'))
        OR EXISTS (SELECT FROM privacy_guard.subject_event e
                    WHERE e.subject = basis_recorded_since.subject AND e.recorded_at >= since
                      AND e.event IN ('basis_recorded', 'objection_lifted')) $$;
COMMENT ON FUNCTION privacy_guard_internal.basis_recorded_since(bigint, timestamptz) IS
    'Whether something came on record that may have been a basis to process a subject''s data.';

-- The lock keeps what the subject decides meanwhile waiting until the rows are erased.
CREATE FUNCTION privacy_guard_internal.unneeded_batch(relation regclass, batch integer) RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at timestamptz := clock_timestamp();
    before timestamptz;
    noted bigint[];
    locked bigint[];
    needed bigint[];
    keys text[];
BEGIN
    SELECT d.noted_before INTO before FROM privacy_guard_internal.unneeded_due(relation, at) d;
    SELECT array_agg(n.subject) INTO noted FROM (
        (SELECT u.subject FROM privacy_guard.unneeded_since u
          WHERE u.relation = unneeded_batch.relation AND u.since <= before AND u.next_try = '-infinity'
          ORDER BY u.since LIMIT batch)
        UNION ALL
        (SELECT u.subject FROM privacy_guard.unneeded_since u
          WHERE u.relation = unneeded_batch.relation AND u.since <= before
            AND u.next_try > '-infinity' AND u.next_try <= at
          ORDER BY u.next_try LIMIT batch)
        LIMIT batch) n;
    SELECT array_agg(l.subject) INTO locked FROM (
        SELECT s.subject FROM privacy_guard.subject_state s WHERE s.subject = ANY (noted)
         ORDER BY s.subject FOR UPDATE SKIP LOCKED) l;
    SELECT array_agg(u.subject) INTO needed FROM privacy_guard.unneeded_since u
     WHERE u.relation = unneeded_batch.relation AND u.subject = ANY (locked)
       AND (privacy_guard_internal.has_live_basis(u.relation, u.subject)
            OR privacy_guard_internal.basis_recorded_since(u.subject, u.since));
    DELETE FROM privacy_guard.unneeded_since u
     WHERE u.relation = unneeded_batch.relation AND u.subject = ANY (needed);
    UPDATE privacy_guard.unneeded_since u SET next_try = at + interval '1 hour'
     WHERE u.relation = unneeded_batch.relation AND u.subject = ANY (locked);
    SELECT array_agg(s.key ORDER BY s.subject) INTO keys FROM privacy_guard.subject_state s
     WHERE s.subject = ANY (locked) AND s.subject <> ALL (coalesce(needed, '{}')) AND NOT s.restricted;
    RETURN coalesce(keys, '{}');
END $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_batch(regclass, integer) IS
    'The keys of at most so many data subjects whose rows are due because no purpose has needed them for erase_unneeded_after, nor does now, nor before the end of the transaction. Not those under a restriction. Empty: none at the moment. Rows are due whoever else they are about: the guard shows none that one of its subjects hides.';

CREATE FUNCTION privacy_guard_internal.numbers_of_keys(relation regclass, keys text[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category privacy_guard.subject_category;
BEGIN
    SELECT c.* INTO STRICT category FROM privacy_guard.guarded_table g
      JOIN privacy_guard.subject_category c USING (category_id) WHERE g.relation = numbers_of_keys.relation;
    IF category.key_type = 'bigint'::regtype THEN
        RETURN ARRAY(SELECT s.subject FROM privacy_guard.subject_state s
                      WHERE s.category_id = category.category_id AND s.key_int = ANY (keys::bigint[]));
    END IF;
    RETURN ARRAY(SELECT s.subject FROM privacy_guard.subject_state s
                  WHERE s.category_id = category.category_id AND s.key_int IS NULL AND s.key = ANY (keys));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.numbers_of_keys(regclass, text[]) IS
    'The numbers of the data subjects of a guarded table that have one, by their keys.';

CREATE FUNCTION privacy_guard_internal.unneeded_done(relation regclass, keys text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM privacy_guard.unneeded_since u
     WHERE u.relation = unneeded_done.relation
       AND u.subject = ANY (privacy_guard_internal.numbers_of_keys(unneeded_done.relation, keys)) $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_done(regclass, text[]) IS
    'All rows of these data subjects have been erased from the table. The next pass notes them again: their time begins anew.';

CREATE FUNCTION privacy_guard_internal.forget_unneeded(relation regclass) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM privacy_guard.unneeded_since u WHERE u.relation = forget_unneeded.relation;
    DELETE FROM privacy_guard.unneeded_pass p WHERE p.relation = forget_unneeded.relation $$;
COMMENT ON FUNCTION privacy_guard_internal.forget_unneeded(regclass) IS
    'For a table that has no such rule any more, or is not guarded any more.';

-- The longest of the rules decides, also one that is not in effect yet.
CREATE FUNCTION privacy_guard_internal.unneeded_rule(
    relation regclass, OUT after interval, OUT effective_from timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT max(r.erase_unneeded_after), min(r.effective_from)
      FROM privacy_guard.retention r JOIN privacy_guard.guarded_table g ON g.relation = r.relation
     WHERE r.relation = unneeded_rule.relation AND r.erase_unneeded_after IS NOT NULL AND g.mode = 'enforce' $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_rule(regclass) IS
    'How long after no purpose needs them rows are erased, and since when; NULL: they are not.';

-- Ten passes in the time after which rows are erased, but at least one a day.
CREATE FUNCTION privacy_guard_internal.next_sweep(relation regclass) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT CASE WHEN p.next_subject = 0
                                 THEN p.finished_at + least(r.after / 10, interval '1 day') END
                       FROM privacy_guard.unneeded_pass p WHERE p.relation = next_sweep.relation), '-infinity')
      FROM privacy_guard_internal.unneeded_rule(relation) r WHERE r.after IS NOT NULL $$;
COMMENT ON FUNCTION privacy_guard_internal.next_sweep(regclass) IS
    'When unneeded_sweep() has to begin or go on; NULL: never.';

CREATE FUNCTION privacy_guard_internal.unneeded_at(relation regclass) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(privacy_guard_internal.next_sweep(unneeded_at.relation),
        (SELECT greatest(u.since + r.after, r.effective_from) FROM privacy_guard.unneeded_since u
          WHERE u.relation = unneeded_at.relation AND u.next_try = '-infinity' ORDER BY u.since LIMIT 1),
        (SELECT greatest(u.next_try, r.effective_from) FROM privacy_guard.unneeded_since u
          WHERE u.relation = unneeded_at.relation AND u.next_try > '-infinity' ORDER BY u.next_try LIMIT 1))
      FROM privacy_guard_internal.unneeded_rule(unneeded_at.relation) r WHERE r.after IS NOT NULL $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_at(regclass) IS
    'When unneeded_step() has something to do for the table; NULL: never.';

-- ---- erasing it ----

CREATE FUNCTION privacy_guard_internal.unneeded_again(relation regclass, keys text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE privacy_guard.unneeded_since u SET next_try = '-infinity'
     WHERE u.relation = unneeded_again.relation
       AND u.subject = ANY (privacy_guard_internal.numbers_of_keys(unneeded_again.relation, keys)) $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_again(regclass, text[]) IS
    'A batch was too small for all the rows of these data subjects: the next one goes on with them.';

-- Columns are compared as their indexes do; texts by their bytes as well, as the guard does.
CREATE FUNCTION privacy_guard_internal.about_subjects(guarded privacy_guard.guarded_table, alias text, keys text)
    RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key_type regtype := (SELECT c.key_type FROM privacy_guard.subject_category c WHERE c.category_id = guarded.category_id);
    via record;
    parent privacy_guard.guarded_table;
    above text := alias || 'v';
BEGIN
    IF guarded.subject_via IS NULL THEN
        RETURN (SELECT string_agg(format(CASE WHEN key_type = 'text'::regtype
                    THEN '(%1$s.%2$I = ANY (%3$s::text[]) AND %1$s.%2$I::text COLLATE "C" = ANY (%3$s::text[]))'
                    ELSE '%1$s.%2$I = ANY (%3$s::%4$s[])' END, alias, c, keys, key_type), ' OR ')
                  FROM unnest(guarded.subject_columns) c);
    END IF;
    via := privacy_guard_internal.via_reference(guarded.relation, guarded.subject_via);
    SELECT * INTO STRICT parent FROM privacy_guard.guarded_table g WHERE g.relation = via.parent;
    RETURN format('%s.%I IN (SELECT %s.%I FROM %s %s WHERE %s)', alias, guarded.subject_via, above, via.parent_column,
                  via.parent, above, privacy_guard_internal.about_subjects(parent, above, keys));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.about_subjects(privacy_guard.guarded_table, text, text) IS
    'The condition that a row is about one of the data subjects with these keys, an expression of type text[]; also by way of other guarded tables.';

-- What is erased already is not erased again: anonymise leaves no subject, pseudonymise no start.
CREATE FUNCTION privacy_guard_internal.unneeded_condition(
    guarded privacy_guard.guarded_table, action text, keys text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('(%s)%s', privacy_guard_internal.about_subjects(guarded, 't', keys),
                  CASE WHEN action = 'pseudonymise'
                       THEN format(' AND t.%I IS DISTINCT FROM ''infinity''', guarded.retention_start) ELSE '' END) $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_condition(privacy_guard.guarded_table, text, text) IS
    'The condition that a row t is to be erased because it is about one of these data subjects.';

-- $1 are the keys, $2 is how many rows.
CREATE FUNCTION privacy_guard_internal.unneeded_rows(
    guarded privacy_guard.guarded_table, member regclass, action text, at timestamptz) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('FROM ONLY %s t WHERE %s%s LIMIT $2::bigint FOR UPDATE OF t SKIP LOCKED',
           member, privacy_guard_internal.unneeded_condition(guarded, action, '$1'),
           CASE WHEN action = 'delete' THEN
               (SELECT string_agg(' AND NOT ' || b.condition, '')
                  FROM privacy_guard_internal.blocking_rows(member,
                           (SELECT c.relowner FROM pg_class c WHERE c.oid = member), 't', at) b) END) $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_rows(privacy_guard.guarded_table, regclass, text, timestamptz) IS
    'From FROM on, the query for the rows of a member about data subjects that nothing blocks.';

CREATE FUNCTION privacy_guard_internal.erase_unneeded_apart(
    run privacy_guard.retention_run, guarded privacy_guard.guarded_table, member regclass, keys text[], row_limit bigint)
    RETURNS privacy_guard_internal.erased
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    places tid[] := ARRAY(SELECT p::tid FROM jsonb_array_elements_text(privacy_guard_internal.erase_pick(guarded.relation, member,
        format('SELECT coalesce(jsonb_agg(p.ctid), ''[]'') FROM (SELECT t.ctid %s) p',
               privacy_guard_internal.unneeded_rows(guarded, member, run.action, clock_timestamp())),
        keys::text, row_limit::text)) p);
BEGIN
    IF cardinality(places) = 0 THEN
        RETURN (0, NULL, NULL, '{}', 0, 0, NULL, '{}')::privacy_guard_internal.erased;
    END IF;
    IF run.action = 'delete' THEN
        places := privacy_guard_internal.not_blocked(member, places);
    END IF;
    RETURN privacy_guard_internal.erase_piecemeal(guarded.relation, member, format('%s/%s/apart', run.run_id, member::oid),
        privacy_guard_internal.erase_at(guarded, member, run.action, run.masks, '$1::tid[]'), places);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_unneeded_apart(
    privacy_guard.retention_run, privacy_guard.guarded_table, regclass, text[], bigint) IS
    'Erases rows of which not all can be erased, or which could take others along.';

CREATE FUNCTION privacy_guard_internal.erase_unneeded_rows(
    run privacy_guard.retention_run, guarded privacy_guard.guarded_table, member regclass, keys text[], row_limit bigint)
    RETURNS privacy_guard_internal.erased
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    plan text := format('%s/%s', run.run_id, member::oid);
    arguments text[] := ARRAY[keys::text, row_limit::text];
    batch record;
BEGIN
    batch := privacy_guard_internal.erase_batch(guarded.relation, member, plan, NULL, arguments);
    IF batch.ready IS NULL THEN
        RETURN (0, NULL, NULL, '{}', 0, 0, NULL, '{}')::privacy_guard_internal.erased;
    ELSIF NOT batch.ready AND run.action = 'delete' AND privacy_guard_internal.takes_along(member) THEN
        RETURN privacy_guard_internal.erase_unneeded_apart(run, guarded, member, keys, row_limit);
    ELSIF NOT batch.ready THEN
        batch := privacy_guard_internal.erase_batch(guarded.relation, member, plan,
            privacy_guard_internal.erase_at(guarded, member, run.action, run.masks, format('ARRAY(SELECT t.ctid %s)',
                privacy_guard_internal.unneeded_rows(guarded, member, run.action, clock_timestamp()))),
            arguments);
    END IF;
    RETURN (batch.rows, batch.first_start, batch.last_start, batch.subjects, batch.unnumbered,
            batch.rows, NULL, '{}')::privacy_guard_internal.erased;
EXCEPTION WHEN OTHERS THEN
    IF NOT privacy_guard_internal.is_about_row(SQLSTATE) THEN
        RAISE;
    END IF;
    RETURN privacy_guard_internal.erase_unneeded_apart(run, guarded, member, keys, row_limit);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_unneeded_rows(
    privacy_guard.retention_run, privacy_guard.guarded_table, regclass, text[], bigint) IS
    'Erases rows of a member that are about these data subjects, at most so many.';

-- Rows may be held, blocked, or in somebody's hands.
CREATE FUNCTION privacy_guard_internal.subjects_without_rows(
    guarded privacy_guard.guarded_table, action text, keys text[]) RETURNS text[]
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT jsonb_array_elements_text(privacy_guard_internal.run_as_owner(guarded.relation, format(
        'SELECT to_jsonb(ARRAY(SELECT k.key FROM unnest($1::text[]) k(key) WHERE NOT EXISTS (SELECT FROM %s t WHERE %s)))',
        guarded.relation, privacy_guard_internal.unneeded_condition(guarded, action, 'ARRAY[k.key]')), keys::text))) $$;
COMMENT ON FUNCTION privacy_guard_internal.subjects_without_rows(privacy_guard.guarded_table, text, text[]) IS
    'Those of the keys about which no row is left.';

CREATE FUNCTION privacy_guard_internal.advance_unneeded(
    INOUT run privacy_guard.retention_run, guarded privacy_guard.guarded_table, keys text[], row_limit bigint,
    OUT erased privacy_guard_internal.erased)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass;
    part privacy_guard_internal.erased;
BEGIN
    erased := (0, NULL, NULL, '{}', 0, 0, NULL, '{}')::privacy_guard_internal.erased;
    FOREACH member IN ARRAY run.members LOOP
        part := privacy_guard_internal.erase_unneeded_rows(run, guarded, member, keys, row_limit - erased.rows);
        erased.rows := erased.rows + part.rows;
        erased.subjects := erased.subjects OPERATOR(privacy_guard.|) part.subjects;
        run.unnumbered := run.unnumbered + part.unnumbered;
        run.first_start := least(run.first_start, part.first_start);
        run.last_start := greatest(run.last_start, part.last_start);
        EXIT WHEN erased.rows >= row_limit;
    END LOOP;
    IF erased.rows >= row_limit THEN
        PERFORM privacy_guard_internal.unneeded_again(guarded.relation, keys);
    ELSE
        PERFORM privacy_guard_internal.unneeded_done(guarded.relation,
            privacy_guard_internal.subjects_without_rows(guarded, run.action, keys));
    END IF;
    run.rows := run.rows + erased.rows;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.advance_unneeded(
    privacy_guard.retention_run, privacy_guard.guarded_table, text[], bigint) IS
    'Erases rows about these data subjects, at most so many; those of whom rows are left have another turn.';

-- The rule is read anew before each batch: one that was changed or removed stops here.
CREATE FUNCTION privacy_guard_internal.unneeded_step(
    relation regclass, batch_size integer, OUT rows bigint, OUT done boolean, OUT action text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' SET jit = off AS $$
DECLARE
    guarded privacy_guard.guarded_table;
    due record;
    run privacy_guard.retention_run;
    keys text[] := '{}';
    step record;
BEGIN
    rows := 0;
    done := true;
    IF NOT privacy_guard_internal.erase_claim(relation) THEN
        RETURN;
    END IF;
    SELECT * INTO guarded FROM privacy_guard.guarded_table g WHERE g.relation = unneeded_step.relation;
    SELECT * INTO due FROM privacy_guard_internal.unneeded_due(relation, clock_timestamp());
    SELECT * INTO run FROM privacy_guard.retention_run r
     WHERE r.relation = unneeded_step.relation AND r.cause = 'unneeded' AND r.finished_at IS NULL;
    action := coalesce(run.action, due.action);
    IF run.run_id IS NULL OR (run.retention_id, run.action, run.masks)
                             IS NOT DISTINCT FROM (due.retention_id, due.action, due.masks) THEN
        keys := privacy_guard_internal.unneeded_batch(relation, batch_size);
    END IF;
    IF keys = '{}' AND run.run_id IS NOT NULL THEN
        PERFORM privacy_guard_internal.finish_run(run, false);
        done := false;
        RETURN;
    ELSIF keys = '{}' THEN
        IF privacy_guard_internal.next_sweep(relation) <= clock_timestamp() THEN
            done := privacy_guard_internal.unneeded_sweep(relation, batch_size) < batch_size;
        END IF;
        PERFORM privacy_guard_internal.note_success(relation, 'unneeded') WHERE done;
        RETURN;
    ELSIF run.run_id IS NULL THEN
        run := privacy_guard_internal.begin_run(guarded, due.retention_id, due.action, due.masks, due.noted_before, 'unneeded');
        IF privacy_guard_internal.erase_is_foreign(guarded, run) THEN
            RETURN;
        END IF;
    END IF;
    step := privacy_guard_internal.advance_unneeded(run, guarded, keys, batch_size);
    run := step.run;
    run.batches := run.batches + 1;
    rows := (step.erased).rows;
    done := false;
    PERFORM privacy_guard_internal.note_batch(run, step.erased);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_step(regclass, integer) IS
    'One batch of the rows that no purpose needs, or the receipt when there are no more, or a step of the search for them. Errors: 55P03 and what the table''s own triggers and constraints raise.';

GRANT SELECT ON privacy_guard.unneeded_since, privacy_guard.unneeded_pass TO privacy_guard_steward, privacy_guard_auditor;
