-- What the library calls after a command that the tables of rules must follow: see src/enforce/utility.c.

CREATE FUNCTION privacy_guard_internal.forget_table(relation oid) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM privacy_guard.guarded_child c WHERE c.relation = forget_table.relation;
    DELETE FROM privacy_guard.guarded_table g WHERE g.relation = forget_table.relation $$;
COMMENT ON FUNCTION privacy_guard_internal.forget_table(oid) IS
    'After DROP TABLE by a data steward: its rules go as well.';

CREATE FUNCTION privacy_guard_internal.release_child(relation oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    child privacy_guard.guarded_child;
BEGIN
    SELECT * INTO child FROM privacy_guard.guarded_child c WHERE c.relation = release_child.relation;
    IF FOUND AND child.root NOT IN (SELECT privacy_guard_internal.ancestors(child.relation)) THEN
        PERFORM privacy_guard_internal.disarm(child.relation, child.prior_row_security);
        DELETE FROM privacy_guard.guarded_child c WHERE c.relation = child.relation;
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.release_child(oid) IS
    'After a data steward has detached a partition or child: takes the guard off it.';

CREATE FUNCTION privacy_guard_internal.forget_role(role oid) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM privacy_guard.purpose_grant g WHERE g.role = forget_role.role;
    DELETE FROM privacy_guard.table_mode m WHERE m.role = forget_role.role;
    DELETE FROM privacy_guard.exempt_role e WHERE e.role = forget_role.role $$;
COMMENT ON FUNCTION privacy_guard_internal.forget_role(oid) IS
    'After DROP ROLE: nobody inherits its entitlements with its number.';
