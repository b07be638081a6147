-- The envelope of the public functions that write: see src/policy/verb.c.

CREATE FUNCTION privacy_guard_internal.invoker() RETURNS regrole
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'verb_invoker_role';
COMMENT ON FUNCTION privacy_guard_internal.invoker() IS
    'The role that called the verb in progress. Errors: 42501 outside of verbs.';

CREATE FUNCTION privacy_guard_internal.recorder() RETURNS text
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'verb_recorder';
COMMENT ON FUNCTION privacy_guard_internal.recorder() IS
    'Who records what the verb in progress does: the invoker, or "privacy_guard ..." for a background worker. Errors: 42501 outside of verbs.';

CREATE FUNCTION privacy_guard_internal.in_verb() RETURNS boolean
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'verb_running';
COMMENT ON FUNCTION privacy_guard_internal.in_verb() IS
    'Whether a verb is in progress, and not a restore or somebody''s own statement.';

-- Everyone may call it and hears who may use it: the library asks for the authority, also of superusers.
-- Makes privacy_guard.<verb> from privacy_guard_internal.<verb>, which was created just before.
CREATE PROCEDURE privacy_guard_internal.publish(verb text, authority text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    body oid;
    signature text;
BEGIN
    SELECT p.oid INTO STRICT body FROM pg_proc p
     WHERE p.pronamespace = 'privacy_guard_internal'::regnamespace AND p.proname = verb;
    signature := format('privacy_guard.%I(%s)', verb, pg_get_function_identity_arguments(body));
    EXECUTE format('CREATE FUNCTION privacy_guard.%I(%s) RETURNS %s LANGUAGE C AS %L, %L',
        verb, pg_get_function_arguments(body), pg_get_function_result(body),
        'MODULE_PATHNAME', 'verb_' || authority);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', signature, obj_description(body, 'pg_proc'));
    EXECUTE format('REVOKE ALL ON FUNCTION privacy_guard_internal.%I(%s) FROM PUBLIC',
        verb, pg_get_function_identity_arguments(body));
END $$;
COMMENT ON PROCEDURE privacy_guard_internal.publish(text, text) IS
    'While installing: makes the public function of a body. authority: anyone, steward, auditor or break_glass.';

-- Helpers of the bodies.

CREATE FUNCTION privacy_guard_internal.require(value anyelement, parameter text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value IS NULL THEN
        RAISE EXCEPTION 'parameter "%" must not be null', parameter
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = format('Pass a value for "%s".', parameter);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require(anyelement, text) IS
    'Refuses a null argument. Errors: 22004.';

CREATE FUNCTION privacy_guard_internal.require_role(role regrole) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require(role, 'role');
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
        RAISE EXCEPTION 'role % does not exist', role
            USING ERRCODE = 'undefined_object', HINT = 'Create the role first, or check its spelling.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_role(regrole) IS
    'Refuses null and a role that does not exist. Errors: 22004, 42704.';

CREATE FUNCTION privacy_guard_internal.is_member(role regrole, of_role regrole) RETURNS boolean
    LANGUAGE C STABLE STRICT AS 'MODULE_PATHNAME', 'verb_is_member';
COMMENT ON FUNCTION privacy_guard_internal.is_member(regrole, regrole) IS
    'Whether a role is, or was granted, another; being a superuser makes nobody a member.';

CREATE FUNCTION privacy_guard_internal.is_steward(role regrole) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT privacy_guard_internal.is_member(role, 'privacy_guard_steward'::regrole) $$;
COMMENT ON FUNCTION privacy_guard_internal.is_steward(regrole) IS 'Whether a role may keep the rules.';
