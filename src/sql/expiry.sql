-- Consent that ends by itself: its way into the ledger, and what is to be renewed.

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

-- A trigger or constraint of a table with a consent column may refuse; that must not keep the others waiting.
CREATE FUNCTION privacy_guard_internal.expire_apart(subjects bigint[], at timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint;
    recorded bigint := 0;
BEGIN
    FOREACH number IN ARRAY subjects LOOP
        BEGIN
            PERFORM privacy_guard_internal.expire_subject(number, at);
            recorded := recorded + 1;
        EXCEPTION WHEN OTHERS THEN
            IF NOT privacy_guard_internal.is_about_row(SQLSTATE) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RAISE WARNING 'the end of consent could not be recorded for % data subjects', cardinality(subjects) - recorded
        USING HINT = 'A trigger or constraint of a table with a consent column stands against it. It is tried again; the guard goes by the clock.';
    RETURN recorded;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.expire_apart(bigint[], timestamptz) IS
    'Records the end of what these data subjects had consented to, of whom some cannot be recorded; returns how many could.';

CREATE FUNCTION privacy_guard_internal.expire_consents(batch integer) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at timestamptz := clock_timestamp();
    -- The first condition is the index's.
    subjects bigint[] := ARRAY(
        SELECT s.subject FROM privacy_guard.subject_state s
         WHERE s.next_expiry < 'infinity' AND s.next_expiry <= at
         ORDER BY s.next_expiry LIMIT batch
           FOR UPDATE SKIP LOCKED);
    number bigint;
BEGIN
    FOREACH number IN ARRAY subjects LOOP
        PERFORM privacy_guard_internal.expire_subject(number, at);
    END LOOP;
    RETURN cardinality(subjects);
EXCEPTION WHEN OTHERS THEN
    IF NOT privacy_guard_internal.is_about_row(SQLSTATE) THEN
        RAISE;
    END IF;
    RETURN privacy_guard_internal.expire_apart(subjects, at);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.expire_consents(integer) IS
    'Records consent that has ended, of at most so many data subjects, and returns their number; those that somebody is changing now have their turn later.';

CREATE FUNCTION privacy_guard_internal.expire_consents_at() RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(s.next_expiry) FROM privacy_guard.subject_state s WHERE s.next_expiry < 'infinity' $$;
COMMENT ON FUNCTION privacy_guard_internal.expire_consents_at() IS
    'When expire_consents() has something to do; NULL: never.';

CREATE FUNCTION privacy_guard_internal.wake_for_expiry(at timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF at < coalesce(privacy_guard_internal.eraser_next_run(), 'infinity') THEN
        PERFORM privacy_guard_internal.wake_eraser();
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.wake_for_expiry(timestamptz) IS
    'Consent ends then: has the eraser find out, if it would come later.';

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
