-- What the library calls in plans and triggers.

CREATE FUNCTION privacy_guard_internal.guard_support(internal) RETURNS internal
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'guard_support';
COMMENT ON FUNCTION privacy_guard_internal.guard_support(internal) IS
    'Tells the planner how many rows the guard lets pass.';

CREATE FUNCTION privacy_guard_internal.guard(internal, regclass, VARIADIC "any") RETURNS boolean
    LANGUAGE C STABLE LEAKPROOF PARALLEL SAFE COST 5
    SUPPORT privacy_guard_internal.guard_support
    AS 'MODULE_PATHNAME', 'guard';
COMMENT ON FUNCTION privacy_guard_internal.guard(internal, regclass, "any") IS
    'Lets a row of a guarded table pass, by the columns that name its data subjects. The library puts it into plans; SQL cannot call it.';

CREATE FUNCTION privacy_guard_internal.guard_conflict(internal, regclass, VARIADIC "any") RETURNS boolean
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'guard_conflict';
COMMENT ON FUNCTION privacy_guard_internal.guard_conflict(internal, regclass, "any") IS
    'Refuses ON CONFLICT DO UPDATE of a row that may not be seen. The library puts it into plans; SQL cannot call it. Errors: 42501.';

CREATE FUNCTION privacy_guard_internal.check_new_row() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'check_new_row';
COMMENT ON FUNCTION privacy_guard_internal.check_new_row() IS
    'AFTER ROW trigger of guarded tables: refuses new rows whose data subjects the purpose may not see, and the loss of rows under a legal hold. Errors: 42501.';

CREATE FUNCTION privacy_guard_internal.check_truncate() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'check_truncate';
COMMENT ON FUNCTION privacy_guard_internal.check_truncate() IS
    'BEFORE TRUNCATE trigger of guarded tables: refuses while a legal hold may bind their rows. Errors: 42501.';

-- Immutable, so that the planner folds it away; an error when the library is not preloaded.
CREATE FUNCTION privacy_guard_internal.library_loaded() RETURNS boolean
    LANGUAGE C IMMUTABLE LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'library_loaded';
COMMENT ON FUNCTION privacy_guard_internal.library_loaded() IS
    'What the stored policy of a guarded table calls: without the library an error, and so no row. Errors: 55000.';

CREATE FUNCTION privacy_guard_internal.subject_changed() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'subject_changed';
COMMENT ON FUNCTION privacy_guard_internal.subject_changed() IS
    'Trigger that tells every session that a data subject''s decisions have changed.';

CREATE FUNCTION privacy_guard_internal.policy_changed() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'policy_changed';
COMMENT ON FUNCTION privacy_guard_internal.policy_changed() IS
    'Trigger that tells every session that the rules have changed.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['purpose', 'purpose_grant', 'subject_category', 'guarded_table', 'guarded_child', 'table_mode',
                                'rule', 'retention', 'hold', 'suppression', 'exempt_role', 'identity', 'audit_origin']
    LOOP
        EXECUTE format('CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON privacy_guard.%I
                            FOR EACH STATEMENT EXECUTE FUNCTION privacy_guard_internal.policy_changed()', name);
        EXECUTE format('ALTER TABLE privacy_guard.%I ENABLE ALWAYS TRIGGER policy_changed', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['subject_state', 'subject_basis']
    LOOP
        EXECUTE format('CREATE TRIGGER subject_changed AFTER INSERT OR UPDATE OR DELETE ON privacy_guard.%I
                            FOR EACH ROW EXECUTE FUNCTION privacy_guard_internal.subject_changed()', name);
        EXECUTE format('CREATE TRIGGER subjects_gone AFTER TRUNCATE ON privacy_guard.%I
                            FOR EACH STATEMENT EXECUTE FUNCTION privacy_guard_internal.subject_changed()', name);
        EXECUTE format('ALTER TABLE privacy_guard.%I ENABLE ALWAYS TRIGGER subject_changed,
                                                     ENABLE ALWAYS TRIGGER subjects_gone', name);
    END LOOP;
END $$;
