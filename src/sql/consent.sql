-- Consent: events go to the ledger, and are folded into the subject's current state.

CREATE FUNCTION privacy_guard_internal.is_refusal(status privacy_guard.consent_status) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN status IN ('refused', 'withdrawn', 'revoked', 'invalidated');
COMMENT ON FUNCTION privacy_guard_internal.is_refusal(privacy_guard.consent_status) IS
    'Whether a status refuses, also what lies below the purpose in the tree.';

CREATE FUNCTION privacy_guard_internal.ends_consent(status privacy_guard.consent_status) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN status = 'expired' OR privacy_guard_internal.is_refusal(status);
COMMENT ON FUNCTION privacy_guard_internal.ends_consent(privacy_guard.consent_status) IS
    'Whether a status takes consent away: expired only that to exactly the same purpose, channel and recipient.';

-- A request takes nothing away: consent that is in force stays so until the answer comes.
CREATE FUNCTION privacy_guard_internal.fold(
    state privacy_guard.consent, decision privacy_guard.consent, at timestamptz) RETURNS privacy_guard.consent
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM privacy_guard.decisions(decision) new
          JOIN privacy_guard.decisions(state) old
            ON (old.purpose, coalesce(old.channel, ''), coalesce(old.recipient, '')) =
               (new.purpose, coalesce(new.channel, ''), coalesce(new.recipient, ''))
         WHERE new.status IN ('requested', 'request_deferred')
           AND old.status IN ('given', 'renewed') AND old.version = new.version AND old.valid_until > at)
    THEN state ELSE privacy_guard.consent_merge(state, decision) END $$;
COMMENT ON FUNCTION privacy_guard_internal.fold(privacy_guard.consent, privacy_guard.consent, timestamptz) IS
    'The state after one more decision: the later event holds, but a request does not replace valid consent.';

CREATE FUNCTION privacy_guard_internal.parse_status(status text) RETURNS privacy_guard.consent_status
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require(status, 'status');
    IF status <> ALL (enum_range(NULL::privacy_guard.consent_status)::text[]) THEN
        RAISE EXCEPTION 'unknown consent status'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use one of ' || array_to_string(enum_range(NULL::privacy_guard.consent_status), ', ') || '.';
    END IF;
    RETURN status::privacy_guard.consent_status;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.parse_status(text) IS 'Errors: 22004, 22023.';

CREATE FUNCTION privacy_guard_internal.parse_consent_type(consent_type text) RETURNS privacy_guard.consent_type
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require(consent_type, 'consent_type');
    IF consent_type <> ALL (enum_range(NULL::privacy_guard.consent_type)::text[]) THEN
        RAISE EXCEPTION 'unknown consent type'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use one of ' || array_to_string(enum_range(NULL::privacy_guard.consent_type), ', ') || '.';
    END IF;
    RETURN consent_type::privacy_guard.consent_type;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.parse_consent_type(text) IS 'Errors: 22004, 22023.';

CREATE FUNCTION privacy_guard_internal.parse_event_time(event_time timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF event_time IS NULL THEN
        RETURN clock_timestamp();
    ELSIF event_time > clock_timestamp() + interval '5 minutes' THEN
        RAISE EXCEPTION 'event_time is in the future'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave it out for an event of now; clocks may differ by up to five minutes.';
    ELSIF NOT isfinite(event_time) THEN
        RAISE EXCEPTION 'event_time must be finite'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass the time at which the data subject decided.';
    END IF;
    -- A clock that runs ahead must not let consent win over a withdrawal that comes after it.
    RETURN least(event_time, clock_timestamp());
END $$;
COMMENT ON FUNCTION privacy_guard_internal.parse_event_time(timestamptz) IS
    'NULL, and up to five minutes ahead, is now. Errors: 22023 infinite, or further ahead.';

-- Writes one record of the ledger from a decision; the rest of its fields come in entry.
CREATE FUNCTION privacy_guard_internal.write_record(entry privacy_guard.consent_record, evidence jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    entry.schema_version := 1;
    entry.legal_basis := 'consent';
    entry.recorded_by := privacy_guard_internal.recorder();
    entry.session_role := session_user;
    entry.application_user := privacy_guard_internal.application_user();
    entry.recorded_at := clock_timestamp();
    INSERT INTO privacy_guard.consent_record VALUES (entry.*);
    IF evidence IS NOT NULL THEN
        INSERT INTO privacy_guard.consent_evidence VALUES (entry.record_id, evidence);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.write_record(privacy_guard.consent_record, jsonb) IS
    'Adds to the ledger, with who recorded it and when.';

CREATE FUNCTION privacy_guard_internal.decision_of(entry privacy_guard.consent_record) RETURNS privacy_guard.consent
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT privacy_guard.consent(entry.purpose, entry.event_state, entry.consent_type, entry.event_time,
                                 entry.valid_until, entry.channel, entry.recipient, entry.purpose_version) $$;
COMMENT ON FUNCTION privacy_guard_internal.decision_of(privacy_guard.consent_record) IS
    'A ledger record as a decision.';

-- A refusal reaches down the tree, and from a purpose to its channels and recipients; only older decisions yield.
CREATE FUNCTION privacy_guard_internal.cascade_refusal(
    state privacy_guard.consent, cause privacy_guard.consent_record) RETURNS privacy_guard.consent
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    affected record;
    consequence privacy_guard.consent_record := cause;
    decisions privacy_guard.consent := '{}';
BEGIN
    FOR affected IN
        SELECT d.* FROM privacy_guard.decisions(state) d
         WHERE privacy_guard.covers(cause.purpose, d.purpose)
           AND d.status IN ('given', 'renewed', 'requested', 'request_deferred')
           AND d.event_time <= cause.event_time
           AND (cause.channel IS NULL OR d.channel = cause.channel)
           AND (cause.recipient IS NULL OR d.recipient = cause.recipient)
           AND (d.purpose, coalesce(d.channel, ''), coalesce(d.recipient, '')) <>
               (cause.purpose, coalesce(cause.channel, ''), coalesce(cause.recipient, ''))
    LOOP
        consequence.record_id := privacy_guard_internal.record_id();
        consequence.caused_by := cause.record_id;
        consequence.purpose := affected.purpose;
        consequence.purpose_version := affected.version;
        consequence.consent_type := affected.consent_type;
        consequence.channel := affected.channel;
        consequence.recipient := affected.recipient;
        PERFORM privacy_guard_internal.write_record(consequence, NULL);
        decisions := privacy_guard.consent_merge(decisions, privacy_guard_internal.decision_of(consequence));
    END LOOP;
    RETURN decisions;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.cascade_refusal(privacy_guard.consent, privacy_guard.consent_record) IS
    'Records a refusal for each older decision below it and returns those decisions.';

CREATE FUNCTION privacy_guard_internal.decision_on(
    state privacy_guard.consent, entry privacy_guard.consent_record) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_strip_nulls(to_jsonb(d)) FROM privacy_guard.decisions(state) d
     WHERE (d.purpose, coalesce(d.channel, ''), coalesce(d.recipient, '')) =
           (entry.purpose, coalesce(entry.channel, ''), coalesce(entry.recipient, '')) $$;
COMMENT ON FUNCTION privacy_guard_internal.decision_on(privacy_guard.consent, privacy_guard.consent_record) IS
    'What the state says about the purpose, channel and recipient of a record; NULL where it says nothing.';

-- The one way into ledger and state. The caller holds the lock on the subject.
CREATE FUNCTION privacy_guard_internal.apply_record(
    subject_state privacy_guard.subject_state, entry privacy_guard.consent_record, evidence jsonb) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    decisions privacy_guard.consent := privacy_guard_internal.decision_of(entry);
    new_state privacy_guard.consent;
BEGIN
    entry.record_id := privacy_guard_internal.record_id();
    entry.pii_principal_id := subject_state.subject;
    PERFORM privacy_guard_internal.write_record(entry, evidence);
    PERFORM privacy_guard_internal.audit_event('consent', entry.event_state::text, entry.record_id::text,
        purpose => entry.purpose, recipient => entry.recipient,
        old => privacy_guard_internal.decision_on(subject_state.consent, entry)::text,
        new => privacy_guard_internal.decision_on(decisions, entry)::text,
        subjects => privacy_guard.subject_set(subject_state.subject));
    new_state := privacy_guard_internal.fold(subject_state.consent, decisions, clock_timestamp());
    IF NOT privacy_guard.consent_contains(new_state, decisions) THEN
        IF entry.event_state IN ('requested', 'request_deferred') THEN
            decisions := '{}';
        ELSE
            RAISE NOTICE 'a newer decision for purpose "%" is on record', entry.purpose
                USING HINT = 'This one is kept in the ledger and changes nothing.';
        END IF;
    END IF;
    IF privacy_guard_internal.is_refusal(entry.event_state) THEN
        decisions := privacy_guard.consent_merge(decisions,
            privacy_guard_internal.cascade_refusal(subject_state.consent, entry));
        new_state := privacy_guard.consent_merge(new_state, decisions);
    END IF;
    IF privacy_guard.consent_ne(new_state, subject_state.consent) THEN
        UPDATE privacy_guard.subject_state s SET consent = new_state WHERE s.subject = subject_state.subject;
    END IF;
    PERFORM privacy_guard_internal.mirror_to_tables(subject_state, decisions);
    PERFORM privacy_guard_internal.wake_for_expiry(entry.valid_until);
    RETURN entry.record_id;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.apply_record(privacy_guard.subject_state, privacy_guard.consent_record, jsonb) IS
    'Records an event and its consequences, folds them into the current state and into the tables'' consent columns.';

CREATE FUNCTION privacy_guard_internal.record_consent(
    subject text, purpose text, status text DEFAULT 'given', consent_type text DEFAULT 'expressed',
    subject_category text DEFAULT 'customer', valid_for interval DEFAULT NULL,
    collection_method text DEFAULT NULL, evidence jsonb DEFAULT NULL, channel text DEFAULT NULL,
    recipient text DEFAULT NULL, privacy_notice text DEFAULT NULL, given_by text DEFAULT NULL,
    event_time timestamptz DEFAULT NULL, jurisdiction text DEFAULT NULL,
    confirm_within interval DEFAULT '7 days') RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    for_purpose privacy_guard.purpose := privacy_guard_internal.require_purpose(purpose);
    entry privacy_guard.consent_record;
    state privacy_guard.subject_state;
    confirm boolean;
BEGIN
    entry.event_state := privacy_guard_internal.parse_status(status);
    entry.consent_type := privacy_guard_internal.parse_consent_type(consent_type);
    entry.event_time := privacy_guard_internal.parse_event_time(event_time);
    IF privacy_guard_internal.ends_consent(entry.event_state) THEN
        PERFORM privacy_guard_internal.require_withdrawal(for_purpose.path);
    ELSE
        PERFORM privacy_guard_internal.require_collection(for_purpose.path);
    END IF;
    IF valid_for <= interval '0' THEN
        RAISE EXCEPTION 'valid_for must be longer than nothing'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave it out for consent without an end.';
    ELSIF valid_for IS NOT NULL AND entry.event_state NOT IN ('given', 'renewed') THEN
        RAISE EXCEPTION 'only consent that is given or renewed is valid for a time'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave out valid_for.';
    END IF;
    confirm := for_purpose.double_opt_in AND entry.event_state IN ('given', 'renewed');
    entry.purpose := for_purpose.path;
    entry.purpose_version := for_purpose.version;
    entry.event_state := CASE WHEN confirm THEN 'requested' ELSE entry.event_state END;
    entry.validity_duration := valid_for;
    entry.valid_until := CASE WHEN confirm OR valid_for IS NULL THEN 'infinity'
                               ELSE entry.event_time + valid_for END;
    entry.privacy_notice := privacy_notice;
    entry.collection_method := collection_method;
    entry.jurisdiction := jurisdiction;
    entry.channel := channel;
    entry.recipient := recipient;
    entry.given_by := given_by;
    state := privacy_guard_internal.lock_subject(subject, subject_category,
        privacy_guard_internal.ends_consent(entry.event_state));
    IF NOT privacy_guard_internal.ends_consent(entry.event_state) THEN
        PERFORM privacy_guard_internal.refuse_erased(state);
    END IF;
    entry.record_id := privacy_guard_internal.apply_record(state, entry, evidence);
    IF confirm THEN
        PERFORM privacy_guard_internal.request_confirmation(entry.record_id, confirm_within);
    END IF;
    RETURN entry.record_id;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.record_consent IS
    'Records what a data subject decided (GDPR Art. 7, ISO/IEC TS 27560) and returns the record''s id. subject: the CRM''s own id as text. status: a consent_status; refusals cascade as in withdraw_consent(), expired ends only what it names. consent_type: how it was expressed. valid_for: from event_time on. evidence: kept apart, erasable. channel, recipient: narrow the decision. given_by: who decided for the subject. event_time: when, by default now; an event older than the latest one is kept but changes nothing. Consent to a purpose with double_opt_in is requested until confirm_consent(), which must follow in confirm_within. Needs grant_collection(); refusals need less. Of an erased data subject only refusals are recorded. Errors: 22004, 22023, 22P02 bad key, channel or recipient, 42501, 42704, 55000 erased.';
CALL privacy_guard_internal.publish('record_consent', 'anyone');

CREATE FUNCTION privacy_guard_internal.withdraw_consent(
    subject text, purpose text, subject_category text DEFAULT 'customer', status text DEFAULT 'withdrawn',
    channel text DEFAULT NULL, recipient text DEFAULT NULL, collection_method text DEFAULT NULL,
    evidence jsonb DEFAULT NULL, given_by text DEFAULT NULL, event_time timestamptz DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT privacy_guard_internal.ends_consent(privacy_guard_internal.parse_status(status)) THEN
        RAISE EXCEPTION 'status "%" does not withdraw consent', status
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use withdrawn, refused, revoked, expired or invalidated.';
    END IF;
    RETURN privacy_guard_internal.record_consent(subject, purpose, status,
        subject_category => subject_category, collection_method => collection_method,
        evidence => evidence, channel => channel, recipient => recipient, given_by => given_by,
        event_time => event_time);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.withdraw_consent IS
    'Takes consent back (GDPR Art. 7(3)), at once, for a purpose and all below it, or only for a channel or recipient; returns the record''s id. Recorded also where nothing was given. Needs grant_purpose() or grant_collection() on the purpose, or the steward. Parameters as in record_consent(). Errors: 22004, 22023, 22P02, 42501, 42704.';
CALL privacy_guard_internal.publish('withdraw_consent', 'anyone');

CREATE FUNCTION privacy_guard_internal.consent_of(subject text, subject_category text DEFAULT 'customer')
    RETURNS privacy_guard.consent
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    invoker regrole := privacy_guard_internal.invoker();
    everything boolean := privacy_guard_internal.is_steward(invoker);
    state privacy_guard.subject_state := privacy_guard_internal.find_subject(subject, subject_category);
    readable privacy_guard.consent;
BEGIN
    IF NOT everything AND NOT EXISTS (
        SELECT FROM privacy_guard.purpose_grant g WHERE privacy_guard_internal.is_member(invoker, g.role)) THEN
        RAISE EXCEPTION 'role % may not read decisions of data subjects', invoker
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'It needs to process or to collect for a purpose: see privacy_guard.grant_purpose() and grant_collection().';
    END IF;
    IF state.subject IS NULL THEN
        IF privacy_guard_internal.is_erased(subject, subject_category) THEN
            RAISE NOTICE 'this data subject of category "%" was erased', subject_category
                USING HINT = 'Only what proves it is left, under a number: see privacy_guard.accesses_to().';
        ELSE
            RAISE NOTICE 'nothing is on record about this data subject of category "%"', subject_category
                USING HINT = 'Check the key.';
        END IF;
        RETURN '{}';
    END IF;
    SELECT privacy_guard.consent_agg(privacy_guard.consent(d.purpose, d.status, d.consent_type,
               d.event_time, d.valid_until, d.channel, d.recipient, d.version)) INTO readable
      FROM privacy_guard.decisions(state.consent) d
     WHERE everything OR privacy_guard_internal.has_privilege(invoker, d.purpose, 'process')
        OR privacy_guard_internal.has_privilege(invoker, d.purpose, 'collect');
    RETURN coalesce(readable, '{}');
END $$;
COMMENT ON FUNCTION privacy_guard_internal.consent_of IS
    'The current decisions of a data subject: all for the steward, for others those on purposes that they process or collect for. Errors: 22004, 22P02, 42501, 42704.';
CALL privacy_guard_internal.publish('consent_of', 'anyone');
