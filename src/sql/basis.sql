-- Objection (GDPR Art. 21), restriction of processing (Art. 18), and bases other than consent (Art. 6(1)).

CREATE FUNCTION privacy_guard_internal.write_event(
    subject bigint, event text, purpose text DEFAULT NULL, legal_basis privacy_guard.legal_basis DEFAULT NULL,
    valid_until timestamptz DEFAULT NULL, reason text DEFAULT NULL) RETURNS uuid
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT privacy_guard_internal.audit_event('consent', event, purpose => purpose,
        new => jsonb_strip_nulls(jsonb_build_object('legal_basis', legal_basis, 'valid_until', valid_until))::text,
        subjects => privacy_guard.subject_set(subject));
    INSERT INTO privacy_guard.subject_event (event_id, subject, event, purpose, legal_basis, valid_until,
                                             reason, recorded_by, application_user)
        VALUES (privacy_guard_internal.record_id(), subject, event, purpose, legal_basis, valid_until, reason,
                privacy_guard_internal.recorder(), privacy_guard_internal.application_user())
        RETURNING event_id $$;
COMMENT ON FUNCTION privacy_guard_internal.write_event(bigint, text, text, privacy_guard.legal_basis, timestamptz, text) IS
    'Adds to privacy_guard.subject_event, with who recorded it and when, and to the audit log.';

CREATE FUNCTION privacy_guard_internal.object_to(
    subject text, purpose text, reason text DEFAULT NULL, subject_category text DEFAULT 'customer') RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    to_purpose privacy_guard.purpose := privacy_guard_internal.require_purpose(purpose);
    state privacy_guard.subject_state;
BEGIN
    PERFORM privacy_guard_internal.require_withdrawal(purpose);
    state := privacy_guard_internal.lock_subject(subject, subject_category, true);
    IF to_purpose.legal_basis NOT IN ('legitimate_interest', 'public_interest', 'official_authority') THEN
        RAISE NOTICE 'purpose "%" rests on %, which an objection does not end', purpose, to_purpose.legal_basis
            USING HINT = 'It hides the data where a rule names legitimate interest, public interest or official authority. To end consent use privacy_guard.withdraw_consent().';
    END IF;
    UPDATE privacy_guard.subject_state s
       SET objections = privacy_guard.purpose_set_add(s.objections, to_purpose.path)
     WHERE s.subject = state.subject;
    RETURN privacy_guard_internal.write_event(state.subject, 'objected', to_purpose.path, reason => reason);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.object_to IS
    'Records an objection (GDPR Art. 21) to a purpose and all below it: hides the subject''s rows under legitimate interest, public interest and official authority. Returns the event''s id. Needs grant_purpose() or grant_collection() on the purpose, or the steward. Errors: 22004, 22P02, 42501, 42704.';
CALL privacy_guard_internal.publish('object_to', 'anyone');

CREATE FUNCTION privacy_guard_internal.lift_objection(
    subject text, purpose text, reason text DEFAULT NULL, subject_category text DEFAULT 'customer') RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    to_purpose privacy_guard.purpose := privacy_guard_internal.require_purpose(purpose);
    state privacy_guard.subject_state;
    remaining privacy_guard.purpose_set;
BEGIN
    PERFORM privacy_guard_internal.require_collection(purpose);
    state := privacy_guard_internal.lock_subject(subject, subject_category, true);
    remaining := privacy_guard.purpose_set_remove(state.objections, to_purpose.path);
    IF NOT to_purpose.path = ANY (privacy_guard.to_array(state.objections)) THEN
        RAISE NOTICE 'no objection to exactly purpose "%" is on record', purpose;
    END IF;
    IF privacy_guard.purpose_set_covers(remaining, to_purpose.path) THEN
        RAISE NOTICE 'an objection to a purpose above "%" still holds', purpose;
    END IF;
    UPDATE privacy_guard.subject_state s SET objections = remaining WHERE s.subject = state.subject;
    RETURN privacy_guard_internal.write_event(state.subject, 'objection_lifted', to_purpose.path, reason => reason);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.lift_objection IS
    'Ends an objection made with object_to() to exactly this purpose; returns the event''s id. Needs grant_collection(). Errors: 22004, 22P02, 42501, 42704.';
CALL privacy_guard_internal.publish('lift_objection', 'anyone');

CREATE FUNCTION privacy_guard_internal.restrict_processing(
    subject text, reason text, subject_category text DEFAULT 'customer') RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    invoker regrole := privacy_guard_internal.invoker();
    state privacy_guard.subject_state;
BEGIN
    PERFORM privacy_guard_internal.require(reason, 'reason');
    IF NOT (privacy_guard_internal.is_steward(invoker) OR EXISTS (
            SELECT FROM privacy_guard.purpose_grant g
             WHERE privacy_guard_internal.is_member(invoker, g.role))) THEN
        RAISE EXCEPTION 'role % may not record decisions of data subjects', invoker
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'It needs to process or to collect for a purpose: see privacy_guard.grant_purpose() and grant_collection().';
    END IF;
    state := privacy_guard_internal.lock_subject(subject, subject_category, true);
    PERFORM privacy_guard_internal.refuse_erased(state);
    INSERT INTO privacy_guard.restriction (subject, reason) VALUES (state.subject, restrict_processing.reason)
        ON CONFLICT ON CONSTRAINT restriction_pkey DO NOTHING;
    IF NOT state.restricted THEN
        UPDATE privacy_guard.subject_state s SET restricted = true WHERE s.subject = state.subject;
    END IF;
    RETURN privacy_guard_internal.write_event(state.subject, 'restricted', reason => reason);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.restrict_processing IS
    'Restricts processing (GDPR Art. 18): hides the subject''s rows from every purpose but those flagged legal_claims, rights_of_others, important_public_interest or subject_rights, and what the subject consents to. Returns the event''s id. Needs any purpose, or the steward. Errors: 22004, 22P02, 42501, 42704, 55000 erased.';
CALL privacy_guard_internal.publish('restrict_processing', 'anyone');

CREATE FUNCTION privacy_guard_internal.lift_restriction(
    subject text, reason text DEFAULT NULL, subject_category text DEFAULT 'customer') RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state privacy_guard.subject_state := privacy_guard_internal.lock_subject(subject, subject_category, true);
    remaining boolean;
BEGIN
    DELETE FROM privacy_guard.restriction r
     WHERE r.subject = state.subject AND r.reason = coalesce(lift_restriction.reason, r.reason);
    IF NOT FOUND THEN
        RAISE NOTICE 'no such restriction is on record for this data subject';
    END IF;
    remaining := EXISTS (SELECT FROM privacy_guard.restriction r WHERE r.subject = state.subject);
    IF remaining THEN
        RAISE NOTICE 'a restriction for another reason still holds';
    END IF;
    IF remaining <> state.restricted THEN
        UPDATE privacy_guard.subject_state s SET restricted = remaining WHERE s.subject = state.subject;
    END IF;
    RETURN privacy_guard_internal.write_event(state.subject, 'restriction_lifted', reason => reason);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.lift_restriction IS
    'Ends the restriction made for that reason, or for all where none is given; tell the data subject before (GDPR Art. 18(3)). Returns the event''s id. Errors: 22004, 22P02, 42501, 42704.';
CALL privacy_guard_internal.publish('lift_restriction', 'steward');

CREATE FUNCTION privacy_guard_internal.record_basis(
    subject text, purpose text, legal_basis privacy_guard.legal_basis, valid_until timestamptz DEFAULT NULL,
    reference text DEFAULT NULL, subject_category text DEFAULT 'customer') RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    for_purpose privacy_guard.purpose := privacy_guard_internal.require_purpose(purpose);
    until timestamptz := coalesce(valid_until, 'infinity');
    state privacy_guard.subject_state;
BEGIN
    PERFORM privacy_guard_internal.require(legal_basis, 'legal_basis');
    PERFORM privacy_guard_internal.require_collection(purpose);
    IF legal_basis = 'consent' THEN
        RAISE EXCEPTION 'consent is not recorded as a basis'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use privacy_guard.record_consent().';
    ELSIF until <= clock_timestamp() THEN
        RAISE EXCEPTION 'valid_until is in the past'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'End a basis now with privacy_guard.withdraw_basis().';
    END IF;
    state := privacy_guard_internal.lock_subject(subject, subject_category, false);
    PERFORM privacy_guard_internal.refuse_erased(state);
    INSERT INTO privacy_guard.subject_basis (subject, purpose, legal_basis, valid_until, reference, recorded_by)
        VALUES (state.subject, for_purpose.path, record_basis.legal_basis, until, record_basis.reference,
                privacy_guard_internal.invoker()::text)
        ON CONFLICT ON CONSTRAINT subject_basis_pkey DO UPDATE
           SET valid_until = excluded.valid_until, reference = excluded.reference,
               recorded_by = excluded.recorded_by, recorded_at = excluded.recorded_at;
    RETURN privacy_guard_internal.write_event(state.subject, 'basis_recorded', for_purpose.path, legal_basis,
                                              until, reference);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.record_basis IS
    'Records a contract, duty or other basis (GDPR Art. 6(1)(b) to (f)) of one data subject for a purpose and all below it, as purposes with record_basis demand. valid_until: NULL for no end. reference: the contract''s number or the like. Replaces an earlier one of the same kind. Returns the event''s id. Needs grant_collection(). Errors: 22004, 22023, 22P02, 42501, 42704, 55000 erased.';
CALL privacy_guard_internal.publish('record_basis', 'anyone');

CREATE FUNCTION privacy_guard_internal.withdraw_basis(
    subject text, purpose text, legal_basis privacy_guard.legal_basis DEFAULT NULL, reason text DEFAULT NULL,
    subject_category text DEFAULT 'customer') RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    for_purpose privacy_guard.purpose := privacy_guard_internal.require_purpose(purpose);
    state privacy_guard.subject_state;
BEGIN
    PERFORM privacy_guard_internal.require_withdrawal(purpose);
    state := privacy_guard_internal.lock_subject(subject, subject_category, true);
    DELETE FROM privacy_guard.subject_basis b
     WHERE b.subject = state.subject AND b.purpose = for_purpose.path
       AND b.legal_basis = coalesce(withdraw_basis.legal_basis, b.legal_basis);
    IF NOT FOUND THEN
        RAISE NOTICE 'no such legal basis is on record for purpose "%"', purpose;
    END IF;
    RETURN privacy_guard_internal.write_event(state.subject, 'basis_withdrawn', for_purpose.path, legal_basis,
                                              reason => reason);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.withdraw_basis IS
    'Ends what record_basis() recorded for exactly this purpose: one legal basis, or all where none is given. Returns the event''s id. Needs grant_purpose() or grant_collection() on the purpose, or the steward. Errors: 22004, 22P02, 42501, 42704.';
CALL privacy_guard_internal.publish('withdraw_basis', 'anyone');
