-- What ends by itself: consent whose validity is over, and rows that no purpose needs any more.

-- The guard goes by the clock and needs no record; the ledger and the present state get one soon after. It changes
-- nothing that the guard says: an expired decision neither permits nor refuses.

CREATE FUNCTION privacy_guard_internal.ended_decisions(state privacy_guard.consent, at timestamptz)
    RETURNS TABLE (purpose text, channel text, recipient text, status privacy_guard.consent_status,
                   consent_type privacy_guard.consent_type, event_time timestamptz, version smallint,
                   ended_at timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.purpose, d.channel, d.recipient, d.status, d.consent_type, d.event_time, d.version,
           greatest(d.valid_until, d.event_time)
      FROM privacy_guard.decisions(state) d
     WHERE d.status IN ('given', 'renewed') AND greatest(d.valid_until, d.event_time) <= at
     ORDER BY greatest(d.valid_until, d.event_time), d.purpose, d.channel, d.recipient $$;
COMMENT ON FUNCTION privacy_guard_internal.ended_decisions(privacy_guard.consent, timestamptz) IS
    'Consent whose validity is over at a time; ended_at is never before it was given.';

CREATE FUNCTION privacy_guard_internal.expire_subject(subject bigint, at timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state privacy_guard.subject_state;
    ended record;
    entry privacy_guard.consent_record;
BEGIN
    SELECT * INTO STRICT state FROM privacy_guard.subject_state s WHERE s.subject = expire_subject.subject FOR UPDATE;
    FOR ended IN SELECT * FROM privacy_guard_internal.ended_decisions(state.consent, at) LOOP
        entry := NULL;
        entry.purpose := ended.purpose;
        entry.purpose_version := ended.version;
        entry.event_state := 'expired';
        entry.consent_type := ended.consent_type;
        entry.event_time := ended.ended_at;
        entry.valid_until := 'infinity';
        entry.channel := ended.channel;
        entry.recipient := ended.recipient;
        SELECT r.record_id INTO entry.caused_by FROM privacy_guard.consent_record r
         WHERE r.pii_principal_id = state.subject AND r.purpose = ended.purpose AND r.event_time = ended.event_time
           AND r.event_state = ended.status AND r.channel IS NOT DISTINCT FROM ended.channel
           AND r.recipient IS NOT DISTINCT FROM ended.recipient
         ORDER BY r.recorded_at DESC LIMIT 1;
        PERFORM privacy_guard_internal.apply_record(state, entry, NULL);
        SELECT * INTO STRICT state FROM privacy_guard.subject_state s WHERE s.subject = state.subject;
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.expire_subject(bigint, timestamptz) IS
    'Records the end of what a data subject had consented to until then.';

CREATE FUNCTION privacy_guard_internal.expire_consents(batch integer) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at timestamptz := clock_timestamp();
    number bigint;
    subjects bigint := 0;
BEGIN
    -- The first condition is the index's.
    FOR number IN
        SELECT s.subject FROM privacy_guard.subject_state s
         WHERE s.next_expiry < 'infinity' AND s.next_expiry <= at
         ORDER BY s.next_expiry LIMIT batch
           FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM privacy_guard_internal.expire_subject(number, at);
        subjects := subjects + 1;
    END LOOP;
    RETURN subjects;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.expire_consents(integer) IS
    'Records consent that has ended, of at most so many data subjects, and returns their number; those that somebody is changing now have their turn later.';

CREATE FUNCTION privacy_guard_internal.expire_consents_at() RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(s.next_expiry) FROM privacy_guard.subject_state s WHERE s.next_expiry < 'infinity' $$;
COMMENT ON FUNCTION privacy_guard_internal.expire_consents_at() IS
    'When expire_consents() has something to do; NULL: never.';

-- What to renew.

CREATE FUNCTION privacy_guard_internal.readable_purposes(below text) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    invoker regrole := privacy_guard_internal.invoker();
    everything boolean := privacy_guard_internal.is_steward(invoker);
    purposes text[];
BEGIN
    IF below IS NOT NULL THEN
        PERFORM privacy_guard_internal.require_purpose(below);
    END IF;
    SELECT array_agg(p.path) INTO purposes FROM privacy_guard.purpose p
     WHERE (below IS NULL OR privacy_guard.covers(below, p.path))
       AND (everything OR privacy_guard_internal.has_privilege(invoker, p.path, 'collect'));
    IF purposes IS NULL AND NOT everything THEN
        RAISE EXCEPTION 'role % may not read which consents end', invoker
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'It needs to collect for the purpose: see privacy_guard.grant_collection().';
    END IF;
    RETURN coalesce(purposes, '{}');
END $$;
COMMENT ON FUNCTION privacy_guard_internal.readable_purposes(text) IS
    'The purposes at and below one, or all, whose consents the invoker may list. Errors: 42501, 42704.';

CREATE FUNCTION privacy_guard_internal.purpose_versions()
    RETURNS TABLE (purpose text, version smallint, since timestamptz)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT h.purpose, (h.new_row ->> 'version')::smallint, min(h.changed_at)
      FROM privacy_guard.policy_history h
     WHERE h.object = 'purpose' AND h.new_row IS NOT NULL
     GROUP BY 1, 2 $$;
COMMENT ON FUNCTION privacy_guard_internal.purpose_versions() IS 'Since when purposes have had which version.';

CREATE FUNCTION privacy_guard_internal.ending_consents(
    within interval DEFAULT '30 days', for_purpose text DEFAULT NULL)
    RETURNS TABLE (subject text, subject_category text, purpose text, channel text, recipient text,
                   valid_until timestamptz, renewal_due timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    purposes text[] := privacy_guard_internal.readable_purposes(for_purpose);
    at timestamptz := clock_timestamp();
BEGIN
    PERFORM privacy_guard_internal.require(within, 'within');
    RETURN QUERY
        SELECT s.key, c.name, d.purpose, d.channel, d.recipient, d.valid_until, d.valid_until
          FROM privacy_guard.subject_state s
          JOIN privacy_guard.subject_category c USING (category_id)
         CROSS JOIN LATERAL privacy_guard.decisions(s.consent) d
          JOIN privacy_guard.purpose p ON p.path = d.purpose AND p.version = d.version
         WHERE s.next_expiry < 'infinity' AND s.next_expiry <= at + within
           AND d.purpose = ANY (purposes) AND d.status IN ('given', 'renewed')
           AND d.valid_until > at AND d.valid_until <= at + within
         ORDER BY d.valid_until, c.name, s.key, d.purpose, d.channel, d.recipient;
    -- Every state is looked at, which can take a while; so only where a purpose got a new meaning.
    IF EXISTS (SELECT FROM privacy_guard.purpose p WHERE p.path = ANY (purposes) AND p.version > 1) THEN
        RETURN QUERY
            SELECT s.key, c.name, d.purpose, d.channel, d.recipient, d.valid_until, coalesce(v.since, p.changed_at)
              FROM privacy_guard.subject_state s
              JOIN privacy_guard.subject_category c USING (category_id)
             CROSS JOIN LATERAL privacy_guard.decisions(s.consent) d
              JOIN privacy_guard.purpose p ON p.path = d.purpose AND p.version > d.version
              LEFT JOIN privacy_guard_internal.purpose_versions() v
                ON v.purpose = d.purpose AND v.version = d.version + 1
             WHERE d.purpose = ANY (purposes) AND d.status IN ('given', 'renewed') AND d.valid_until > at
             ORDER BY coalesce(v.since, p.changed_at), c.name, s.key, d.purpose, d.channel, d.recipient;
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.ending_consents IS
    'Consents to renew: those whose validity ends within a time, and those to an older version of their purpose, which do not permit any more. renewal_due: when consent ends, or ended with the new version. for_purpose: only it and those below it. For stewards, all; for others, purposes that they collect for. Errors: 22004, 42501, 42704.';
CALL privacy_guard_internal.publish('ending_consents', 'anyone');

-- Rows that no purpose needs: see src/retention/basis.c for when that is.

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

CREATE FUNCTION privacy_guard_internal.unneeded_done(relation regclass, keys text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category privacy_guard.subject_category;
    numbers bigint[];
BEGIN
    SELECT c.* INTO STRICT category FROM privacy_guard.guarded_table g
      JOIN privacy_guard.subject_category c USING (category_id) WHERE g.relation = unneeded_done.relation;
    IF category.key_type = 'bigint'::regtype THEN
        SELECT array_agg(s.subject) INTO numbers FROM privacy_guard.subject_state s
         WHERE s.category_id = category.category_id AND s.key_int = ANY (keys::bigint[]);
    ELSE
        SELECT array_agg(s.subject) INTO numbers FROM privacy_guard.subject_state s
         WHERE s.category_id = category.category_id AND s.key_int IS NULL AND s.key = ANY (keys);
    END IF;
    DELETE FROM privacy_guard.unneeded_since u
     WHERE u.relation = unneeded_done.relation AND u.subject = ANY (numbers);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_done(regclass, text[]) IS
    'All rows of these data subjects have been erased from the table. The next pass notes them again: their time begins anew.';

CREATE FUNCTION privacy_guard_internal.forget_unneeded(relation regclass) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM privacy_guard.unneeded_since u WHERE u.relation = forget_unneeded.relation;
    DELETE FROM privacy_guard.unneeded_pass p WHERE p.relation = forget_unneeded.relation $$;
COMMENT ON FUNCTION privacy_guard_internal.forget_unneeded(regclass) IS
    'For a table that has no such rule any more, or is not guarded any more.';

-- Ten passes in the time after which rows are erased, but at least one a day.
CREATE FUNCTION privacy_guard_internal.unneeded_at(relation regclass) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(
        (SELECT coalesce(max(CASE WHEN p.next_subject = 0 THEN
                                 p.finished_at + least(r.after / 10, interval '1 day') ELSE '-infinity' END), '-infinity')
           FROM privacy_guard.unneeded_pass p WHERE p.relation = unneeded_at.relation),
        (SELECT greatest(u.since + r.after, r.effective_from) FROM privacy_guard.unneeded_since u
          WHERE u.relation = unneeded_at.relation AND u.next_try = '-infinity' ORDER BY u.since LIMIT 1),
        (SELECT greatest(u.next_try, r.effective_from) FROM privacy_guard.unneeded_since u
          WHERE u.relation = unneeded_at.relation AND u.next_try > '-infinity' ORDER BY u.next_try LIMIT 1))
      FROM (SELECT max(r.erase_unneeded_after) AS after, min(r.effective_from) AS effective_from
              FROM privacy_guard.retention r JOIN privacy_guard.guarded_table g ON g.relation = r.relation
             WHERE r.relation = unneeded_at.relation AND r.erase_unneeded_after IS NOT NULL
               AND g.mode = 'enforce') r
     WHERE r.after IS NOT NULL $$;
COMMENT ON FUNCTION privacy_guard_internal.unneeded_at(regclass) IS
    'When unneeded_sweep() or unneeded_batch() has something to do for the table; NULL: never.';

GRANT SELECT ON privacy_guard.unneeded_since, privacy_guard.unneeded_pass TO privacy_guard_steward, privacy_guard_auditor;
