-- Purposes, kinds of data subject, and which roles work for which purpose.

CREATE FUNCTION privacy_guard.covers(ancestor text, purpose text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ancestor = purpose OR starts_with(purpose, ancestor || '.');
COMMENT ON FUNCTION privacy_guard.covers(text, text) IS
    'Whether a purpose is another one or below it in the tree: covers(''marketing'', ''marketing.email'').';

CREATE FUNCTION privacy_guard_internal.require_purpose(purpose text) RETURNS privacy_guard.purpose
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_purpose privacy_guard.purpose;
BEGIN
    PERFORM privacy_guard_internal.require(purpose, 'purpose');
    SELECT * INTO found_purpose FROM privacy_guard.purpose p WHERE p.path = require_purpose.purpose;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'purpose "%" does not exist', left(purpose, 255)
            USING ERRCODE = 'undefined_object',
                  HINT = 'The view privacy_guard.purposes lists the purposes; privacy_guard.create_purpose() makes one.';
    END IF;
    RETURN found_purpose;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_purpose(text) IS
    'The purpose of that path. Errors: 22004, 42704.';

CREATE FUNCTION privacy_guard_internal.has_privilege(role regrole, purpose text, privilege text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM privacy_guard.purpose_grant g
                    WHERE g.privilege = has_privilege.privilege
                      AND privacy_guard.covers(g.purpose, has_privilege.purpose)
                      AND privacy_guard_internal.is_member(has_privilege.role, g.role)) $$;
COMMENT ON FUNCTION privacy_guard_internal.has_privilege(regrole, text, text) IS
    'Whether a role, or one that it is a member of, was granted process, collect or confirm on the purpose or above it.';

-- History of the rules. A restore loads these tables outside of verbs and brings its own history.
CREATE FUNCTION privacy_guard_internal.record_policy_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    any_row jsonb := coalesce(new_row, old_row);
BEGIN
    IF privacy_guard_internal.in_verb() THEN
        INSERT INTO privacy_guard.policy_history
                    (changed_by, object, operation, relation, role, purpose, old_row, new_row)
            VALUES (privacy_guard_internal.recorder(), TG_TABLE_NAME, TG_OP,
                    to_regclass(any_row ->> 'relation'), to_regrole(any_row ->> 'role'),
                    coalesce(any_row ->> 'purpose', any_row ->> 'path'), old_row, new_row);
        PERFORM privacy_guard_internal.audit_event('policy', TG_OP, TG_TABLE_NAME,
            purpose => coalesce(any_row ->> 'purpose', any_row ->> 'path'),
            relation => to_regclass(any_row ->> 'relation')::oid, old => old_row::text, new => new_row::text);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.record_policy_change() IS
    'Trigger: writes privacy_guard.policy_history, and puts the change on record in the audit log.';

CREATE FUNCTION privacy_guard_internal.refuse_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'table "%" is append-only', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Record a new event instead, for example with privacy_guard.withdraw_consent().';
END $$;
COMMENT ON FUNCTION privacy_guard_internal.refuse_change() IS
    'Trigger: refuses UPDATE (but of free text about an erased person), DELETE and TRUNCATE. Errors: 42501.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['purpose', 'purpose_grant', 'subject_category', 'guarded_table',
                                'table_mode', 'rule', 'retention', 'hold', 'exempt_role']
    LOOP
        EXECUTE format('CREATE TRIGGER history AFTER INSERT OR UPDATE OR DELETE ON privacy_guard.%I
            FOR EACH ROW EXECUTE FUNCTION privacy_guard_internal.record_policy_change()', name);
        EXECUTE format('ALTER TABLE privacy_guard.%I ENABLE ALWAYS TRIGGER history', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['policy_history', 'consent_record', 'subject_event']
    LOOP
        -- What somebody wrote in his own words may name a person: when he is erased it goes.
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OF %s OR DELETE OR TRUNCATE ON privacy_guard.%I
            FOR EACH STATEMENT EXECUTE FUNCTION privacy_guard_internal.refuse_change()',
            (SELECT string_agg(a.attname, ', ') FROM pg_attribute a
              WHERE a.attrelid = ('privacy_guard.' || name)::regclass AND a.attnum > 0
                AND (name, a.attname) NOT IN (('subject_event', 'reason'), ('consent_record', 'given_by'))), name);
        EXECUTE format('ALTER TABLE privacy_guard.%I ENABLE ALWAYS TRIGGER append_only', name);
    END LOOP;
END $$;

CREATE FUNCTION privacy_guard_internal.create_purpose(
    purpose text, legal_basis privacy_guard.legal_basis, description text DEFAULT NULL,
    consent_type privacy_guard.consent_type DEFAULT 'expressed', record_basis boolean DEFAULT false,
    double_opt_in boolean DEFAULT false, automated_decisions boolean DEFAULT false,
    export boolean DEFAULT false, legal_claims boolean DEFAULT false,
    rights_of_others boolean DEFAULT false, important_public_interest boolean DEFAULT false,
    subject_rights boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent text := substring(purpose FROM '^(.*)\.[^.]*$');
    last_version smallint;
BEGIN
    PERFORM privacy_guard_internal.require(purpose, 'purpose');
    PERFORM privacy_guard_internal.require(legal_basis, 'legal_basis');
    PERFORM privacy_guard_internal.require(consent_type, 'consent_type');
    IF num_nulls(record_basis, double_opt_in, automated_decisions, export, legal_claims,
                 rights_of_others, important_public_interest, subject_rights) > 0 THEN
        RAISE EXCEPTION 'a flag of a purpose must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass true or false.';
    END IF;
    IF octet_length(purpose) > 255 OR purpose !~ '^[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62}){0,15}$' THEN
        RAISE EXCEPTION 'invalid purpose path'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A purpose is up to 16 labels joined by dots, at most 255 bytes; each label is a lower-case letter followed by up to 62 lower-case letters, digits or underscores.';
    END IF;
    PERFORM FROM privacy_guard.purpose p WHERE p.path = parent FOR KEY SHARE;
    IF parent IS NOT NULL AND NOT FOUND THEN
        RAISE EXCEPTION 'parent purpose "%" does not exist', parent
            USING ERRCODE = 'undefined_object',
                  HINT = format('Create it first: SELECT privacy_guard.create_purpose(%L, ...).', parent);
    END IF;
    -- A purpose that comes back under an old name inherits no consent.
    SELECT max((h.old_row ->> 'version')::smallint) INTO last_version
      FROM privacy_guard.policy_history h
     WHERE h.object = 'purpose' AND h.operation = 'DELETE' AND h.purpose = create_purpose.purpose;
    INSERT INTO privacy_guard.purpose
                (path, version, legal_basis, consent_type, description, record_basis, double_opt_in,
                 automated_decisions, export, legal_claims, rights_of_others,
                 important_public_interest, subject_rights)
        VALUES (create_purpose.purpose, coalesce(last_version, 0) + 1, create_purpose.legal_basis,
                create_purpose.consent_type, create_purpose.description, create_purpose.record_basis,
                create_purpose.double_opt_in, create_purpose.automated_decisions,
                create_purpose.export, create_purpose.legal_claims, create_purpose.rights_of_others,
                create_purpose.important_public_interest, create_purpose.subject_rights)
        ON CONFLICT ON CONSTRAINT purpose_path_key DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'purpose "%" already exists', purpose
            USING ERRCODE = 'duplicate_object', HINT = 'Change it with privacy_guard.alter_purpose().';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.create_purpose IS
    'Makes a purpose (GDPR Art. 5(1)(b)). purpose: dotted path whose parent exists. legal_basis: Art. 6(1), where a rule says nothing else. consent_type: the least that permits. record_basis: a basis other than consent must be on record for each subject. double_opt_in: consent must be confirmed with a token. automated_decisions: Art. 22. export: may copy guarded data into unguarded tables. legal_claims, rights_of_others, important_public_interest, subject_rights: goes on under a restriction (Art. 18(2)). Errors: 22004, 22023, 42704 no parent, 42710.';
CALL privacy_guard_internal.publish('create_purpose', 'steward');

CREATE FUNCTION privacy_guard_internal.alter_purpose(
    purpose text, legal_basis privacy_guard.legal_basis DEFAULT NULL, description text DEFAULT NULL,
    consent_type privacy_guard.consent_type DEFAULT NULL, record_basis boolean DEFAULT NULL,
    double_opt_in boolean DEFAULT NULL, automated_decisions boolean DEFAULT NULL,
    export boolean DEFAULT NULL, legal_claims boolean DEFAULT NULL,
    rights_of_others boolean DEFAULT NULL, important_public_interest boolean DEFAULT NULL,
    subject_rights boolean DEFAULT NULL, new_meaning boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before privacy_guard.purpose := privacy_guard_internal.require_purpose(purpose);
    new_version smallint;
BEGIN
    UPDATE privacy_guard.purpose p
       SET legal_basis = coalesce(alter_purpose.legal_basis, p.legal_basis),
           description = coalesce(alter_purpose.description, p.description),
           consent_type = coalesce(alter_purpose.consent_type, p.consent_type),
           record_basis = coalesce(alter_purpose.record_basis, p.record_basis),
           double_opt_in = coalesce(alter_purpose.double_opt_in, p.double_opt_in),
           automated_decisions = coalesce(alter_purpose.automated_decisions, p.automated_decisions),
           export = coalesce(alter_purpose.export, p.export),
           legal_claims = coalesce(alter_purpose.legal_claims, p.legal_claims),
           rights_of_others = coalesce(alter_purpose.rights_of_others, p.rights_of_others),
           important_public_interest =
               coalesce(alter_purpose.important_public_interest, p.important_public_interest),
           subject_rights = coalesce(alter_purpose.subject_rights, p.subject_rights),
           -- Nobody who agreed before agreed to automated decisions or to copies elsewhere.
           version = p.version + (coalesce(alter_purpose.new_meaning, false)
               OR (alter_purpose.automated_decisions AND NOT p.automated_decisions) IS TRUE
               OR (alter_purpose.export AND NOT p.export) IS TRUE)::integer,
           changed_at = clock_timestamp()
     WHERE p.path = alter_purpose.purpose
     RETURNING p.version INTO new_version;
    IF new_version > before.version THEN
        RAISE NOTICE 'purpose "%" has a new meaning: version %', purpose, new_version
            USING HINT = 'Consent given to older versions no longer permits it.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.alter_purpose IS
    'Changes a purpose; NULL leaves as it is. new_meaning, and turning on automated_decisions or export, raise the version: consent to an older version no longer permits (GDPR Art. 6(4)). Other parameters as in create_purpose(). Errors: 22004, 42704.';
CALL privacy_guard_internal.publish('alter_purpose', 'steward');

CREATE FUNCTION privacy_guard_internal.drop_purpose(purpose text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dropped privacy_guard.purpose := privacy_guard_internal.require_purpose(purpose);
    obstacle text;
    advice text;
BEGIN
    PERFORM FROM privacy_guard.purpose p WHERE p.path = dropped.path FOR UPDATE;
    SELECT w.what, w.hint INTO obstacle, advice FROM (
        SELECT 1, format('purpose "%s" is below it', min(p.path)),
               'Drop the purposes below it first.'
          FROM privacy_guard.purpose p
         WHERE starts_with(p.path, dropped.path || '.') HAVING count(*) > 0
        UNION ALL
        SELECT 2, format('table %s has a rule for it', min(r.relation::text)),
               'Remove its rules with privacy_guard.drop_rule().'
          FROM privacy_guard.rule r WHERE r.purpose = dropped.path HAVING count(*) > 0
        UNION ALL
        SELECT 3, format('role %s was granted it', min(g.role::text)),
               'Revoke it with privacy_guard.revoke_purpose(), revoke_collection() and revoke_confirmation().'
          FROM privacy_guard.purpose_grant g WHERE g.purpose = dropped.path HAVING count(*) > 0
        UNION ALL
        SELECT 4, format('table %s has a storage duration for it', min(d.relation::text)),
               'Remove it with privacy_guard.unretain().'
          FROM privacy_guard.retention d WHERE d.purpose = dropped.path HAVING count(*) > 0
        UNION ALL
        SELECT 5, format('%s legal bases are on record for it', count(*)),
               'Withdraw them with privacy_guard.withdraw_basis().'
          FROM privacy_guard.subject_basis b
         WHERE b.purpose = dropped.path AND b.valid_until > clock_timestamp() HAVING count(*) > 0)
        AS w (place, what, hint)
     ORDER BY w.place LIMIT 1;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'cannot drop purpose "%" because %', dropped.path, obstacle
            USING ERRCODE = 'dependent_objects_still_exist', HINT = advice;
    END IF;
    DELETE FROM privacy_guard.subject_basis b WHERE b.purpose = dropped.path;
    DELETE FROM privacy_guard.purpose p WHERE p.path = dropped.path;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.drop_purpose IS
    'Drops a purpose that nothing uses. Its consent records stay; a purpose made later under the same path starts with a new version. Errors: 22004, 42704, 2BP01 still in use.';
CALL privacy_guard_internal.publish('drop_purpose', 'steward');

-- Kinds of data subject.

CREATE FUNCTION privacy_guard_internal.require_category(category text) RETURNS privacy_guard.subject_category
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_category privacy_guard.subject_category;
BEGIN
    PERFORM privacy_guard_internal.require(category, 'subject_category');
    SELECT * INTO found_category FROM privacy_guard.subject_category c WHERE c.name = category;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject category "%" does not exist', left(category, 63)
            USING ERRCODE = 'undefined_object',
                  HINT = 'privacy_guard.protect() makes it with the first table, privacy_guard.create_subject_category() without one.';
    END IF;
    RETURN found_category;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_category(text) IS
    'The subject category of that name. Errors: 22004, 42704.';

CREATE FUNCTION privacy_guard_internal.create_subject_category(category text, key_type regtype) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stored_type regtype := CASE
        WHEN key_type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN 'bigint'::regtype
        WHEN key_type = 'uuid'::regtype THEN 'uuid'::regtype
        WHEN key_type IN ('text'::regtype, 'varchar'::regtype) THEN 'text'::regtype END;
BEGIN
    PERFORM privacy_guard_internal.require(category, 'category');
    PERFORM privacy_guard_internal.require(key_type, 'key_type');
    IF category !~ '^[a-z][a-z0-9_]{0,62}$' THEN
        RAISE EXCEPTION 'invalid name of a subject category'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is a lower-case letter followed by up to 62 lower-case letters, digits or underscores.';
    END IF;
    IF stored_type IS NULL THEN
        RAISE EXCEPTION 'type % cannot be the key of a data subject', key_type
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use bigint (for every integer type), uuid or text.';
    END IF;
    INSERT INTO privacy_guard.subject_category (name, key_type) VALUES (category, stored_type)
        ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject category "%" already exists', category
            USING ERRCODE = 'duplicate_object',
                  HINT = 'Drop it with privacy_guard.drop_subject_category() while nothing uses it, or choose another name.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.create_subject_category IS
    'Makes a kind of data subject, such as customer or lead. key_type: the type of the CRM''s own id: an integer type, uuid or text. Errors: 22004, 22023, 42710.';
CALL privacy_guard_internal.publish('create_subject_category', 'steward');

CREATE FUNCTION privacy_guard_internal.drop_subject_category(category text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dropped privacy_guard.subject_category := privacy_guard_internal.require_category(category);
    obstacle text;
BEGIN
    PERFORM FROM privacy_guard.subject_category c WHERE c.category_id = dropped.category_id FOR UPDATE;
    obstacle := CASE
        WHEN EXISTS (SELECT FROM privacy_guard.guarded_table t WHERE t.category_id = dropped.category_id)
            THEN 'guarded tables hold it'
        WHEN EXISTS (SELECT FROM privacy_guard.rule r WHERE r.category_id = dropped.category_id)
            THEN 'rules name it'
        WHEN EXISTS (SELECT FROM privacy_guard.subject_state s WHERE s.category_id = dropped.category_id)
            THEN 'decisions of its data subjects are on record'
        WHEN EXISTS (SELECT FROM privacy_guard.suppressed_subject s WHERE s.category_id = dropped.category_id)
            THEN 'erased data subjects of it are suppressed' END;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'cannot drop subject category "%" because %', dropped.name, obstacle
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'Remove the guarded tables with privacy_guard.unprotect() and the rules with privacy_guard.drop_rule(); a category with decisions on record stays.';
    END IF;
    DELETE FROM privacy_guard.subject_category c WHERE c.category_id = dropped.category_id;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.drop_subject_category IS
    'Drops a kind of data subject that nothing uses. Errors: 22004, 42704, 2BP01 still in use.';
CALL privacy_guard_internal.publish('drop_subject_category', 'steward');

-- Entitlement. One function of each pair, with the privilege as its only difference.

CREATE FUNCTION privacy_guard_internal.grant_privilege(purpose text, role regrole, privilege text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require_purpose(purpose);
    PERFORM privacy_guard_internal.require_role(role);
    INSERT INTO privacy_guard.purpose_grant (purpose, role, privilege, granted_by)
        VALUES (grant_privilege.purpose, grant_privilege.role, grant_privilege.privilege,
                privacy_guard_internal.invoker()::text)
        ON CONFLICT ON CONSTRAINT purpose_grant_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE NOTICE 'role % already has that on purpose "%"', role, purpose;
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.grant_privilege(text, regrole, text) IS
    'Grants process, collect or confirm. Errors: 22004, 42704.';

CREATE FUNCTION privacy_guard_internal.revoke_privilege(purpose text, role regrole, privilege text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    remaining record;
BEGIN
    PERFORM privacy_guard_internal.require_purpose(purpose);
    PERFORM privacy_guard_internal.require(role, 'role');
    DELETE FROM privacy_guard.purpose_grant g
     WHERE g.purpose = revoke_privilege.purpose AND g.role = revoke_privilege.role
       AND g.privilege = revoke_privilege.privilege;
    IF NOT FOUND THEN
        RAISE NOTICE 'role % was not granted that on purpose "%"', role, purpose;
    END IF;
    SELECT g.purpose, g.role INTO remaining FROM privacy_guard.purpose_grant g
     WHERE g.privilege = revoke_privilege.privilege
       AND privacy_guard.covers(g.purpose, revoke_privilege.purpose)
       AND privacy_guard_internal.is_member(revoke_privilege.role, g.role)
     ORDER BY g.purpose, g.role::text LIMIT 1;
    IF FOUND THEN
        RAISE NOTICE 'role % still has it through the grant of "%" to %', role, remaining.purpose, remaining.role;
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.revoke_privilege(text, regrole, text) IS
    'Takes back process, collect or confirm; says where it is still inherited from. Errors: 22004, 42704.';

-- Who may collect must not see the tokens that prove that somebody else agreed.
CREATE FUNCTION privacy_guard_internal.require_apart(purpose text, role regrole, other text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM privacy_guard.purpose_grant g
                WHERE g.privilege = other
                  AND (privacy_guard.covers(g.purpose, require_apart.purpose)
                       OR privacy_guard.covers(require_apart.purpose, g.purpose))
                  AND (privacy_guard_internal.is_member(require_apart.role, g.role)
                       OR privacy_guard_internal.is_member(g.role, require_apart.role))) THEN
        RAISE EXCEPTION 'role % must not both collect and confirm consent for purpose "%"', role, purpose
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Let one role record the consent and another send the tokens of the double opt-in.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_apart(text, regrole, text) IS
    'Refuses that one role collects consent and sees the tokens that confirm it. Errors: 22023.';

CREATE FUNCTION privacy_guard_internal.grant_purpose(purpose text, role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
$$ BEGIN PERFORM privacy_guard_internal.grant_privilege(purpose, role, 'process'); END $$;
COMMENT ON FUNCTION privacy_guard_internal.grant_purpose IS
    'Entitles a role, and its members, to process data for a purpose and those below it. Errors: 22004, 42704.';
CALL privacy_guard_internal.publish('grant_purpose', 'steward');

CREATE FUNCTION privacy_guard_internal.revoke_purpose(purpose text, role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
$$ BEGIN PERFORM privacy_guard_internal.revoke_privilege(purpose, role, 'process'); END $$;
COMMENT ON FUNCTION privacy_guard_internal.revoke_purpose IS
    'Takes back what grant_purpose() granted. Errors: 22004, 42704.';
CALL privacy_guard_internal.publish('revoke_purpose', 'steward');

CREATE FUNCTION privacy_guard_internal.grant_collection(purpose text, role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require_apart(purpose, role, 'confirm');
    PERFORM privacy_guard_internal.grant_privilege(purpose, role, 'collect');
END $$;
COMMENT ON FUNCTION privacy_guard_internal.grant_collection IS
    'Lets a role, and its members, record consent for a purpose and those below it. Processing does not imply it. Errors: 22004, 22023 may confirm, 42704.';
CALL privacy_guard_internal.publish('grant_collection', 'steward');

CREATE FUNCTION privacy_guard_internal.revoke_collection(purpose text, role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
$$ BEGIN PERFORM privacy_guard_internal.revoke_privilege(purpose, role, 'collect'); END $$;
COMMENT ON FUNCTION privacy_guard_internal.revoke_collection IS
    'Takes back what grant_collection() granted. Errors: 22004, 42704.';
CALL privacy_guard_internal.publish('revoke_collection', 'steward');

CREATE FUNCTION privacy_guard_internal.grant_confirmation(purpose text, role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require_apart(purpose, role, 'collect');
    PERFORM privacy_guard_internal.grant_privilege(purpose, role, 'confirm');
END $$;
COMMENT ON FUNCTION privacy_guard_internal.grant_confirmation IS
    'Lets a role, and its members, fetch the tokens of double opt-in requests in order to send them to the data subjects. Such a role cannot also collect. Errors: 22004, 22023 may collect, 42704.';
CALL privacy_guard_internal.publish('grant_confirmation', 'steward');

CREATE FUNCTION privacy_guard_internal.revoke_confirmation(purpose text, role regrole) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
$$ BEGIN PERFORM privacy_guard_internal.revoke_privilege(purpose, role, 'confirm'); END $$;
COMMENT ON FUNCTION privacy_guard_internal.revoke_confirmation IS
    'Takes back what grant_confirmation() granted. Errors: 22004, 42704.';
CALL privacy_guard_internal.publish('revoke_confirmation', 'steward');
