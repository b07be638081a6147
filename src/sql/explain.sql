-- Why a row is visible, or not: the checks of the guard one by one, now or at a time past.

CREATE TYPE privacy_guard_internal.explanation AS (
    check_name text, outcome text, reason text, since timestamptz, source text);
COMMENT ON TYPE privacy_guard_internal.explanation IS 'One check of explain_access(): outcome is permit, deny or info.';

CREATE FUNCTION privacy_guard_internal.finding(
    check_name text, outcome text, reason text, since timestamptz, source text)
    RETURNS privacy_guard_internal.explanation
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT ROW(check_name, outcome, reason, since, source)::privacy_guard_internal.explanation $$;
COMMENT ON FUNCTION privacy_guard_internal.finding(text, text, text, timestamptz, text) IS 'Makes one row of an explanation.';

CREATE FUNCTION privacy_guard_internal.require_reader() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    invoker regrole := privacy_guard_internal.invoker();
BEGIN
    IF NOT (privacy_guard_internal.is_steward(invoker)
            OR privacy_guard_internal.is_member(invoker, 'privacy_guard_auditor'::regrole)) THEN
        RAISE EXCEPTION 'must be a member of role "privacy_guard_steward" or "privacy_guard_auditor"'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Superusers are no exception. GRANT one of the two roles TO the role that should do this.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_reader() IS 'Refuses an invoker who is neither steward nor auditor. Errors: 42501.';

-- A policy table as it was. Names of tables and roles are those of today.
CREATE FUNCTION privacy_guard_internal.policy_at(object text, at timestamptz) RETURNS SETOF jsonb
    LANGUAGE plpgsql STABLE ROWS 50 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    identity text[] := CASE object WHEN 'purpose' THEN '{path}' WHEN 'rule' THEN '{rule_id}'
        WHEN 'purpose_grant' THEN '{purpose,role,privilege}' WHEN 'table_mode' THEN '{relation,role}'
        WHEN 'exempt_role' THEN '{role}' WHEN 'retention' THEN '{relation,purpose}' ELSE '{relation}' END;
BEGIN
    IF at IS NULL THEN
        RETURN QUERY EXECUTE format('SELECT to_jsonb(t) FROM privacy_guard.%I t', object);
    ELSE
        RETURN QUERY
            SELECT last.new_row || jsonb_strip_nulls(jsonb_build_object(
                       'relation', last.relation::text, 'role', last.role::text))
              FROM (SELECT DISTINCT ON (k.key) h.*
                      FROM privacy_guard.policy_history h
                     CROSS JOIN LATERAL (
                           SELECT jsonb_object_agg(i, coalesce(h.new_row, h.old_row) -> i) AS key
                             FROM unnest(identity) i) k
                     WHERE h.object = policy_at.object AND h.changed_at <= policy_at.at
                     ORDER BY k.key, h.changed_at DESC, h.history_id DESC) last
             WHERE last.operation <> 'DELETE';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.policy_at(text, timestamptz) IS
    'The rows of a policy table now (NULL) or at a time past, from privacy_guard.policy_history.';

CREATE FUNCTION privacy_guard_internal.explain_entitlement(role regrole, purpose text, at timestamptz)
    RETURNS SETOF privacy_guard_internal.explanation
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_grant privacy_guard.purpose_grant;
BEGIN
    SELECT g.* INTO found_grant FROM privacy_guard_internal.policy_at('purpose_grant', at) row
      CROSS JOIN jsonb_populate_record(NULL::privacy_guard.purpose_grant, row) g
     WHERE g.privilege = 'process' AND privacy_guard.covers(g.purpose, explain_entitlement.purpose)
       AND privacy_guard_internal.is_member(explain_entitlement.role, g.role)
     ORDER BY length(g.purpose) DESC, g.granted_at LIMIT 1;
    IF FOUND THEN
        RETURN NEXT privacy_guard_internal.finding('role', 'permit', format('role %s may work for it', role), found_grant.granted_at,
            format('grant of "%s" to %s by %s', found_grant.purpose, found_grant.role, found_grant.granted_by));
    ELSE
        RETURN NEXT privacy_guard_internal.finding('role', 'deny', format('role %s was not granted the purpose or one above it', role),
            NULL, NULL);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_entitlement(regrole, text, timestamptz) IS
    'Through which grant a role may work for a purpose; memberships are those of today.';

CREATE FUNCTION privacy_guard_internal.rules_at(
    guarded privacy_guard.guarded_table, purpose text, at timestamptz) RETURNS SETOF privacy_guard.rule
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.* FROM privacy_guard_internal.policy_at('rule', at) row
      CROSS JOIN jsonb_populate_record(NULL::privacy_guard.rule, row) r
     WHERE r.relation = guarded.relation AND privacy_guard.covers(r.purpose, rules_at.purpose)
       AND (r.category_id IS NULL OR r.category_id = guarded.category_id) $$;
COMMENT ON FUNCTION privacy_guard_internal.rules_at(privacy_guard.guarded_table, text, timestamptz) IS
    'The rules of a table that bear on a purpose.';

-- As the guard folds rules: permission reaches down; a prohibition overrules older permissions, and any from further up.
CREATE FUNCTION privacy_guard_internal.explain_rule(
    guarded privacy_guard.guarded_table, purpose privacy_guard.purpose, at timestamptz,
    OUT basis privacy_guard.legal_basis, OUT explained privacy_guard_internal.explanation)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    permission privacy_guard.rule;
    prohibition privacy_guard.rule;
BEGIN
    -- The nearest permission that no prohibition of its time or later overrules.
    SELECT p.* INTO permission FROM privacy_guard_internal.rules_at(guarded, purpose.path, at) p
     WHERE p.effect = 'permit' AND NOT EXISTS (
           SELECT FROM privacy_guard_internal.rules_at(guarded, purpose.path, at) n
            WHERE n.effect = 'prohibit' AND n.created_at >= p.created_at)
     ORDER BY length(p.purpose) DESC, p.category_id IS NULL LIMIT 1;
    SELECT n.* INTO prohibition FROM privacy_guard_internal.rules_at(guarded, purpose.path, at) n
     WHERE n.effect = 'prohibit' AND (permission.rule_id IS NULL OR length(n.purpose) > length(permission.purpose))
     ORDER BY n.created_at DESC LIMIT 1;
    IF prohibition.rule_id IS NOT NULL THEN
        explained := privacy_guard_internal.finding('rule', 'deny', format('table %s prohibits "%s"', guarded.relation, prohibition.purpose),
            prohibition.created_at, format('rule %s by %s', prohibition.rule_id, prohibition.created_by));
    ELSIF permission.rule_id IS NULL THEN
        explained := privacy_guard_internal.finding('rule', 'deny', format('no rule of table %s permits the purpose or one above it',
            guarded.relation), NULL, NULL);
    ELSE
        basis := coalesce(permission.legal_basis, purpose.legal_basis);
        explained := privacy_guard_internal.finding('rule', 'permit', format('table %s permits "%s"', guarded.relation, permission.purpose),
            permission.created_at, format('rule %s by %s', permission.rule_id, permission.created_by));
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_rule(privacy_guard.guarded_table, privacy_guard.purpose, timestamptz) IS
    'Which rule of a table decides about a purpose, and the legal basis that it names.';

CREATE FUNCTION privacy_guard_internal.consent_at(state privacy_guard.subject_state, at timestamptz)
    RETURNS privacy_guard.consent
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry privacy_guard.consent_record;
    result privacy_guard.consent := '{}';
BEGIN
    IF at IS NULL THEN
        RETURN coalesce(state.consent, '{}');
    END IF;
    FOR entry IN SELECT * FROM privacy_guard.consent_record r
                  WHERE r.pii_principal_id = state.subject AND r.recorded_at <= at ORDER BY r.recorded_at LOOP
        result := privacy_guard_internal.fold(result, privacy_guard_internal.decision_of(entry), entry.recorded_at);
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.consent_at(privacy_guard.subject_state, timestamptz) IS
    'The decisions now (NULL), or as far as they had been recorded at a time past.';

CREATE FUNCTION privacy_guard_internal.explain_consent(
    state privacy_guard.subject_state, purpose privacy_guard.purpose, at timestamptz)
    RETURNS privacy_guard_internal.explanation
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    consent privacy_guard.consent := privacy_guard_internal.consent_at(state, at);
    moment timestamptz := coalesce(at, clock_timestamp());
    own record;
    above record;
    entry privacy_guard.consent_record;
    reason text;
BEGIN
    SELECT d.* INTO own FROM privacy_guard.decisions(consent) d
     WHERE d.purpose = purpose.path AND d.channel IS NULL AND d.recipient IS NULL;
    SELECT d.* INTO above FROM privacy_guard.decisions(consent) d
     WHERE d.purpose <> purpose.path AND privacy_guard.covers(d.purpose, purpose.path)
       AND d.channel IS NULL AND d.recipient IS NULL AND privacy_guard_internal.is_refusal(d.status)
     ORDER BY d.event_time DESC LIMIT 1;
    reason := CASE
        WHEN own.status IS NULL AND above.status IS NULL THEN 'no consent is on record'
        WHEN above.status IS NOT NULL AND (own.status IS NULL OR above.event_time >= own.event_time)
            THEN format('consent to "%s" above it is %s', above.purpose, above.status)
        WHEN own.status = 'expired' THEN format('consent ended on %s', own.event_time)
        WHEN own.status NOT IN ('given', 'renewed') THEN format('consent is %s', own.status)
        WHEN own.event_time > moment THEN 'consent begins later'
        WHEN own.valid_until <= moment THEN format('consent ended on %s', own.valid_until)
        WHEN own.version <> purpose.version
            THEN format('consent was to version %s of the purpose, which is now %s', own.version, purpose.version)
        WHEN own.consent_type < purpose.consent_type
            THEN format('consent is %s; the purpose needs %s', own.consent_type, purpose.consent_type) END;
    IF reason LIKE 'consent to%above%' THEN
        own := above;
    END IF;
    SELECT r.* INTO entry FROM privacy_guard.consent_record r
     WHERE r.pii_principal_id = state.subject AND r.purpose = own.purpose AND r.event_time = own.event_time
       AND r.event_state = own.status AND r.recorded_at <= moment
     ORDER BY r.recorded_at DESC LIMIT 1;
    RETURN privacy_guard_internal.finding('consent', CASE WHEN reason IS NULL THEN 'permit' ELSE 'deny' END,
        coalesce(reason, format('consent is %s (%s), %s', own.status, own.consent_type,
            CASE WHEN own.valid_until = 'infinity' THEN 'without end' ELSE 'until ' || own.valid_until END)),
        own.event_time, CASE WHEN entry.record_id IS NOT NULL
            THEN format('consent record %s by %s', entry.record_id, entry.recorded_by) END);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_consent(privacy_guard.subject_state, privacy_guard.purpose, timestamptz) IS
    'Whether consent permits a purpose: its status, type, validity and version, and refusals above it.';

CREATE FUNCTION privacy_guard_internal.explain_objection(subject bigint, purpose text, at timestamptz)
    RETURNS privacy_guard_internal.explanation
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event privacy_guard.subject_event;
BEGIN
    SELECT last.* INTO event FROM (
        SELECT DISTINCT ON (e.purpose) e.* FROM privacy_guard.subject_event e
         WHERE e.subject = explain_objection.subject AND e.event IN ('objected', 'objection_lifted')
           AND privacy_guard.covers(e.purpose, explain_objection.purpose)
           AND e.recorded_at <= coalesce(at, clock_timestamp())
         ORDER BY e.purpose, e.recorded_at DESC) last
     WHERE last.event = 'objected' ORDER BY last.recorded_at DESC LIMIT 1;
    IF FOUND THEN
        RETURN privacy_guard_internal.finding('objection', 'deny', format('the data subject objected to "%s"', event.purpose),
            event.recorded_at, format('event %s by %s', event.event_id, event.recorded_by));
    END IF;
    RETURN privacy_guard_internal.finding('objection', 'permit', 'no objection is on record', NULL, NULL);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_objection(bigint, text, timestamptz) IS
    'Whether the subject objects to a purpose or one above it.';

CREATE FUNCTION privacy_guard_internal.explain_restriction(subject bigint, at timestamptz)
    RETURNS privacy_guard_internal.explanation
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz := coalesce(at, clock_timestamp());
    event privacy_guard.subject_event;
BEGIN
    SELECT e.* INTO event FROM privacy_guard.subject_event e
     WHERE e.subject = explain_restriction.subject AND e.event = 'restricted' AND e.recorded_at <= moment
       AND NOT EXISTS (SELECT FROM privacy_guard.subject_event l
                        WHERE l.subject = e.subject AND l.event = 'restriction_lifted'
                          AND l.recorded_at BETWEEN e.recorded_at AND moment
                          AND coalesce(l.reason, e.reason) = e.reason)
     ORDER BY e.recorded_at DESC LIMIT 1;
    IF FOUND THEN
        RETURN privacy_guard_internal.finding('restriction', 'deny', 'processing is restricted', event.recorded_at,
            format('event %s by %s', event.event_id, event.recorded_by));
    END IF;
    RETURN privacy_guard_internal.finding('restriction', 'permit', 'processing is not restricted', NULL, NULL);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_restriction(bigint, timestamptz) IS
    'Whether processing is restricted; the reason is not told, it may be personal.';

CREATE FUNCTION privacy_guard_internal.explain_basis(
    subject bigint, purpose text, basis privacy_guard.legal_basis, at timestamptz)
    RETURNS privacy_guard_internal.explanation
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz := coalesce(at, clock_timestamp());
    event privacy_guard.subject_event;
BEGIN
    -- Of each purpose the last word: an event without a basis withdrew them all.
    SELECT last.* INTO event FROM (
        SELECT DISTINCT ON (e.purpose) e.* FROM privacy_guard.subject_event e
         WHERE e.subject = explain_basis.subject AND e.event IN ('basis_recorded', 'basis_withdrawn')
           AND coalesce(e.legal_basis, basis) = basis AND privacy_guard.covers(e.purpose, explain_basis.purpose)
           AND e.recorded_at <= moment
         ORDER BY e.purpose, e.recorded_at DESC) last
     WHERE last.event = 'basis_recorded' AND last.valid_until > moment
     ORDER BY last.recorded_at DESC LIMIT 1;
    IF FOUND THEN
        RETURN privacy_guard_internal.finding('recorded basis', 'permit', format('%s is on record for "%s"', basis, event.purpose),
            event.recorded_at, format('event %s by %s', event.event_id, event.recorded_by));
    END IF;
    RETURN privacy_guard_internal.finding('recorded basis', 'deny', format('the purpose needs %s on record for the data subject', basis), NULL, NULL);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_basis(bigint, text, privacy_guard.legal_basis, timestamptz) IS
    'Whether a basis other than consent is on record and valid.';

-- The checks that depend on the data subject.
CREATE FUNCTION privacy_guard_internal.explain_subject(
    state privacy_guard.subject_state, purpose privacy_guard.purpose, basis privacy_guard.legal_basis, at timestamptz)
    RETURNS SETOF privacy_guard_internal.explanation
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    consent privacy_guard_internal.explanation;
    restriction privacy_guard_internal.explanation := privacy_guard_internal.explain_restriction(state.subject, at);
BEGIN
    IF basis = 'consent' THEN
        consent := privacy_guard_internal.explain_consent(state, purpose, at);
        RETURN NEXT consent;
    ELSIF basis IN ('legitimate_interest', 'public_interest', 'official_authority') THEN
        RETURN NEXT privacy_guard_internal.explain_objection(state.subject, purpose.path, at);
    END IF;
    IF basis <> 'consent' AND purpose.record_basis THEN
        RETURN NEXT privacy_guard_internal.explain_basis(state.subject, purpose.path, basis, at);
    END IF;
    IF restriction.outcome = 'deny' AND (consent.outcome = 'permit' OR purpose.legal_claims
            OR purpose.rights_of_others OR purpose.important_public_interest OR purpose.subject_rights) THEN
        restriction.outcome := 'info';
        restriction.reason := 'processing is restricted, from which this is exempt (GDPR Art. 18(2))';
    END IF;
    RETURN NEXT restriction;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_subject(privacy_guard.subject_state, privacy_guard.purpose, privacy_guard.legal_basis, timestamptz) IS
    'Consent, objection, recorded basis and restriction, as far as the legal basis makes them count.';

CREATE FUNCTION privacy_guard_internal.duration_at(
    guarded privacy_guard.guarded_table, purpose text, at timestamptz) RETURNS SETOF privacy_guard.retention
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.* FROM privacy_guard_internal.policy_at('retention', at) row
      CROSS JOIN jsonb_populate_record(NULL::privacy_guard.retention, row) d
     WHERE d.relation = guarded.relation AND d.period IS NOT NULL
       AND d.effective_from <= coalesce(at, clock_timestamp())
       AND (d.purpose IS NULL OR privacy_guard.covers(d.purpose, duration_at.purpose))
     ORDER BY length(d.purpose) DESC NULLS LAST LIMIT 1 $$;
COMMENT ON FUNCTION privacy_guard_internal.duration_at(privacy_guard.guarded_table, text, timestamptz) IS
    'The storage duration of a table that is in effect for a purpose: the nearest up the tree, or the table''s own.';

CREATE FUNCTION privacy_guard_internal.explain_duration(
    guarded privacy_guard.guarded_table, subject text, purpose text, at timestamptz)
    RETURNS SETOF privacy_guard_internal.explanation
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    duration privacy_guard.retention;
    cutoff timestamptz;
    living bigint;
    ended bigint;
BEGIN
    SELECT d.* INTO duration FROM privacy_guard_internal.duration_at(guarded, purpose, at) d;
    IF NOT FOUND OR guarded.retention_start IS NULL THEN
        RETURN;
    END IF;
    cutoff := privacy_guard_internal.duration_cutoff(coalesce(at, clock_timestamp()), duration.period);
    ended := privacy_guard_internal.count_about(guarded.relation,
        privacy_guard_internal.has_ended(guarded.relation, guarded.retention_start), cutoff, ARRAY[subject]);
    living := privacy_guard_internal.count_about(guarded.relation, '$1 IS NOT NULL', cutoff, ARRAY[subject]) - ended;
    RETURN NEXT privacy_guard_internal.finding('storage duration',
        CASE WHEN ended > 0 AND living = 0 THEN 'deny' WHEN ended = 0 THEN 'permit' ELSE 'info' END,
        format('%s rows of the data subject have expired and %s have not: rows end %s after "%s", so those of %s and before',
               coalesce(ended::text, 'an unknown number of'), coalesce(living::text, 'an unknown number'),
               duration.period, guarded.retention_start, cutoff),
        duration.effective_from, format('retain() by %s', duration.created_by));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_duration(privacy_guard.guarded_table, text, text, timestamptz) IS
    'Whether the rows of a data subject, as they are now, are past the storage duration of a purpose.';

CREATE FUNCTION privacy_guard_internal.explain_mode(guarded privacy_guard.guarded_table, role regrole, at timestamptz)
    RETURNS SETOF privacy_guard_internal.explanation
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role_mode text;
    exemption privacy_guard.exempt_role;
BEGIN
    SELECT m.mode INTO role_mode FROM privacy_guard_internal.policy_at('table_mode', at) row
      CROSS JOIN jsonb_populate_record(NULL::privacy_guard.table_mode, row) m
     WHERE m.relation = guarded.relation AND m.role = explain_mode.role;
    IF coalesce(role_mode, guarded.mode) = 'monitor' THEN
        RETURN NEXT privacy_guard_internal.finding('mode', 'info', 'nothing is withheld: the table is only monitored', NULL,
            CASE WHEN role_mode IS NULL THEN 'mode of the table' ELSE 'mode of the role' END);
    END IF;
    SELECT e.* INTO exemption FROM privacy_guard_internal.policy_at('exempt_role', at) row
      CROSS JOIN jsonb_populate_record(NULL::privacy_guard.exempt_role, row) e
     WHERE e.role = explain_mode.role AND e.valid_until > coalesce(at, clock_timestamp());
    IF FOUND THEN
        RETURN NEXT privacy_guard_internal.finding('exemption', 'info', 'the role is exempt and sees every row', exemption.granted_at,
            format('exempt_role() by %s', exemption.granted_by));
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_mode(privacy_guard.guarded_table, regrole, timestamptz) IS
    'Monitor mode and exempt roles, where nothing is withheld whatever the checks say.';

-- All checks but the verdict; stops where the next ones would have nothing to go by.
CREATE FUNCTION privacy_guard_internal.explain_checks(
    relation regclass, subject text, purpose text, role regrole, at timestamptz)
    RETURNS SETOF privacy_guard_internal.explanation
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    guarded privacy_guard.guarded_table;
    category privacy_guard.subject_category;
    found_purpose privacy_guard.purpose;
    state privacy_guard.subject_state;
    rule record;
BEGIN
    SELECT g.* INTO guarded FROM privacy_guard_internal.policy_at('guarded_table', at) row
      CROSS JOIN jsonb_populate_record(NULL::privacy_guard.guarded_table, row) g
     WHERE g.relation = privacy_guard_internal.guarded_root(explain_checks.relation);
    IF guarded.relation IS NULL THEN
        RETURN NEXT privacy_guard_internal.finding('table', 'info', format('table %s is not guarded', explain_checks.relation), NULL, NULL);
        RETURN;
    END IF;
    RETURN NEXT privacy_guard_internal.finding('table', 'info', format('table %s is guarded', guarded.relation), guarded.protected_at,
        format('protect() by %s', guarded.protected_by));
    SELECT * INTO category FROM privacy_guard.subject_category c WHERE c.category_id = guarded.category_id;
    state := privacy_guard_internal.find_subject(subject, category.name);
    SELECT p.* INTO found_purpose FROM privacy_guard_internal.policy_at('purpose', at) row
      CROSS JOIN jsonb_populate_record(NULL::privacy_guard.purpose, row) p
     WHERE p.path = explain_checks.purpose;
    IF found_purpose.path IS NULL THEN
        RETURN NEXT privacy_guard_internal.finding('purpose', 'deny', 'the purpose does not exist', NULL, NULL);
        RETURN;
    END IF;
    RETURN NEXT privacy_guard_internal.finding('purpose', 'info', format('version %s', found_purpose.version), found_purpose.changed_at, NULL);
    RETURN QUERY SELECT * FROM privacy_guard_internal.explain_entitlement(role, purpose, at);
    rule := privacy_guard_internal.explain_rule(guarded, found_purpose, at);
    RETURN NEXT rule.explained;
    IF rule.basis IS NOT NULL THEN
        RETURN NEXT privacy_guard_internal.finding('legal basis', 'info', rule.basis::text, NULL, NULL);
        IF state.subject IS NULL AND privacy_guard_internal.is_erased(subject, category.name) THEN
            RETURN NEXT privacy_guard_internal.finding('subject', 'deny', 'the data subject was erased', NULL, NULL);
        ELSIF state.subject IS NULL THEN
            RETURN NEXT privacy_guard_internal.finding('subject', 'info', format('nothing is on record about this data subject of category "%s"',
                category.name), NULL, NULL);
        END IF;
        RETURN QUERY SELECT * FROM privacy_guard_internal.explain_subject(state, found_purpose, rule.basis, at);
        RETURN QUERY SELECT * FROM privacy_guard_internal.explain_duration(guarded,
            privacy_guard_internal.canonical_key(subject, category), found_purpose.path, at);
    END IF;
    RETURN QUERY SELECT * FROM privacy_guard_internal.explain_mode(guarded, role, at);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_checks(regclass, text, text, regrole, timestamptz) IS
    'The rows of explain_access() without the verdict.';

CREATE FUNCTION privacy_guard_internal.explain_access(
    relation regclass, subject text, purpose text, role regrole DEFAULT NULL, at timestamptz DEFAULT NULL)
    RETURNS TABLE (step integer, check_name text, outcome text, reason text, since timestamptz, source text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    checks privacy_guard_internal.explanation[];
    visible boolean;
BEGIN
    PERFORM privacy_guard_internal.require_reader();
    PERFORM privacy_guard_internal.require(relation, 'relation');
    PERFORM privacy_guard_internal.require(subject, 'subject');
    IF at IS NULL THEN
        PERFORM privacy_guard_internal.require_purpose(purpose);
    ELSIF at > clock_timestamp() THEN
        RAISE EXCEPTION 'at is in the future'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave it out for now.';
    END IF;
    role := coalesce(role, privacy_guard_internal.invoker());
    PERFORM privacy_guard_internal.require_role(role);
    SELECT array_agg(c) INTO checks FROM privacy_guard_internal.explain_checks(relation, subject, purpose, role, at) c;
    SELECT bool_and(c.outcome <> 'deny') OR bool_or(c.check_name IN ('mode', 'exemption')) INTO visible
      FROM unnest(checks) c;
    RETURN QUERY
        SELECT c.n::integer, c.check_name, c.outcome, c.reason, c.since, c.source
          FROM unnest(checks) WITH ORDINALITY AS c (check_name, outcome, reason, since, source, n)
        UNION ALL
        SELECT cardinality(checks) + 1, 'verdict', CASE WHEN visible THEN 'permit' ELSE 'deny' END,
               CASE WHEN visible THEN 'the row is visible' ELSE 'the row is hidden' END, at, NULL
         ORDER BY 1;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.explain_access IS
    'Why rows of a data subject are visible for a purpose, or not: each check with its outcome (permit, deny, info), since when and from which record; the last row is the verdict. subject: the CRM''s own id as text. role: NULL for the caller. at: a time past; consent, objections, restrictions, bases and rules are then as they had been recorded, memberships of roles and the subject columns'' values as they are now. Other subjects of the same row, and the table''s own policies, may still hide it. For stewards and auditors. Errors: 22004, 22023, 22P02, 42501, 42704.';
CALL privacy_guard_internal.publish('explain_access', 'anyone');
