-- Double opt-in: who records a request never sees the token that confirms it.

CREATE FUNCTION privacy_guard_internal.request_confirmation(record_id uuid, confirm_within interval) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- 244 random bits.
    token text := translate(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
BEGIN
    PERFORM privacy_guard_internal.require(confirm_within, 'confirm_within');
    IF confirm_within <= interval '0' THEN
        RAISE EXCEPTION 'confirm_within must be longer than nothing'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave it out for seven days.';
    END IF;
    INSERT INTO privacy_guard.consent_confirmation (record_id, token_digest, token, expires_at)
        VALUES (request_confirmation.record_id, sha256(convert_to(token, 'UTF8')), token,
                clock_timestamp() + confirm_within);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.request_confirmation(uuid, interval) IS
    'Makes the token of a double opt-in. Errors: 22004, 22023.';

CREATE FUNCTION privacy_guard_internal.pending_confirmations(max_rows integer DEFAULT 100)
    RETURNS TABLE (record_id uuid, subject text, subject_category text, purpose text, channel text,
                   token text, expires_at timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    invoker regrole := privacy_guard_internal.invoker();
    purposes text[];
BEGIN
    SELECT array_agg(p.path) INTO purposes FROM privacy_guard.purpose p
     WHERE privacy_guard_internal.has_privilege(invoker, p.path, 'confirm')
       AND NOT privacy_guard_internal.has_privilege(invoker, p.path, 'collect');
    IF purposes IS NULL THEN
        RAISE EXCEPTION 'role % may not fetch confirmation tokens', invoker
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'A steward can allow it with privacy_guard.grant_confirmation() to a role that does not collect consent.';
    END IF;
    RETURN QUERY
        WITH due AS (
            SELECT c.record_id, r.pii_principal_id, r.purpose, r.channel, c.token, c.expires_at
              FROM privacy_guard.consent_confirmation c
              JOIN privacy_guard.consent_record r ON r.record_id = c.record_id
             WHERE c.token IS NOT NULL AND c.expires_at > clock_timestamp() AND r.purpose = ANY (purposes)
             ORDER BY c.record_id LIMIT max_rows
               FOR UPDATE OF c SKIP LOCKED),
        sent AS (
            UPDATE privacy_guard.consent_confirmation c
               SET token = NULL, sent_to = invoker::text, sent_at = clock_timestamp()
              FROM due WHERE c.record_id = due.record_id)
        SELECT due.record_id, s.key, g.name, due.purpose, due.channel, due.token, due.expires_at
          FROM due JOIN privacy_guard.subject_state s ON s.subject = due.pii_principal_id
          JOIN privacy_guard.subject_category g ON g.category_id = s.category_id
         ORDER BY due.record_id;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.pending_confirmations IS
    'For the role that sends the mail of a double opt-in: requests not sent yet, with their tokens, each of which is handed out once (a rollback gives it back). max_rows: at most so many. Needs grant_confirmation(), and not to collect for the same purpose. Errors: 42501.';
CALL privacy_guard_internal.publish('pending_confirmations', 'anyone');

CREATE FUNCTION privacy_guard_internal.refused_since(
    state privacy_guard.consent, purpose text, since timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM privacy_guard.decisions(state) d
                    WHERE privacy_guard.covers(d.purpose, refused_since.purpose)
                      AND privacy_guard_internal.is_refusal(d.status) AND d.event_time >= since) $$;
COMMENT ON FUNCTION privacy_guard_internal.refused_since(privacy_guard.consent, text, timestamptz) IS
    'Whether the purpose or one above it was refused at or after a time.';

CREATE FUNCTION privacy_guard_internal.confirm_consent(token text) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    confirmation privacy_guard.consent_confirmation;
    entry privacy_guard.consent_record;
    state privacy_guard.subject_state;
BEGIN
    PERFORM privacy_guard_internal.require(token, 'token');
    SELECT * INTO confirmation FROM privacy_guard.consent_confirmation c
     WHERE c.token_digest = sha256(convert_to(confirm_consent.token, 'UTF8')) FOR UPDATE;
    IF NOT FOUND OR confirmation.confirmed_by IS NOT NULL OR confirmation.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'confirmation token is not valid or no longer valid'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A token works once and until it expires. Record the consent again for a new one.';
    END IF;
    SELECT * INTO STRICT entry FROM privacy_guard.consent_record r WHERE r.record_id = confirmation.record_id;
    SELECT * INTO state FROM privacy_guard.subject_state s WHERE s.subject = entry.pii_principal_id FOR UPDATE;
    IF state.subject IS NULL
       OR privacy_guard_internal.refused_since(state.consent, entry.purpose, entry.event_time)
       OR NOT EXISTS (SELECT FROM privacy_guard.purpose p
                       WHERE p.path = entry.purpose AND p.version = entry.purpose_version) THEN
        RAISE EXCEPTION 'the request was overtaken and cannot be confirmed'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Consent was withdrawn, or the purpose changed, after the request. Record the consent again.';
    END IF;
    entry.caused_by := entry.record_id;
    entry.event_state := 'given';
    entry.event_time := clock_timestamp();
    entry.valid_until := coalesce(entry.event_time + entry.validity_duration, 'infinity');
    entry.record_id := privacy_guard_internal.apply_record(state, entry, NULL);
    UPDATE privacy_guard.consent_confirmation c
       SET token = NULL, confirmed_by = entry.record_id WHERE c.record_id = confirmation.record_id;
    RETURN entry.record_id;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.confirm_consent IS
    'The second step of a double opt-in: the token that reached the data subject turns the request into consent from now on. Anyone who has the token may call it. Returns the new record''s id. Errors: 22004, 22023 bad token, 55000 withdrawn or changed since.';
CALL privacy_guard_internal.publish('confirm_consent', 'anyone');
