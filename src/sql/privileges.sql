-- Last: who may do what, and what a dump holds.

DROP PROCEDURE privacy_guard_internal.publish(text, text);

REVOKE ALL ON ALL TABLES IN SCHEMA privacy_guard, privacy_guard_internal FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA privacy_guard, privacy_guard_internal FROM PUBLIC;
REVOKE ALL ON SCHEMA privacy_guard_internal FROM PUBLIC;
GRANT USAGE ON SCHEMA privacy_guard TO PUBLIC;
GRANT SELECT ON privacy_guard.purposes TO PUBLIC;
GRANT SELECT ON privacy_guard.break_glass_use, privacy_guard.policy_history, privacy_guard.exempt_role,
    privacy_guard.purpose_grant, privacy_guard.table_mode TO privacy_guard_steward, privacy_guard_auditor;

-- Readers that run as the owner are for those that the files above name.
REVOKE ALL ON FUNCTION privacy_guard.enforcement_report(regclass, regrole) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION privacy_guard.enforcement_report(regclass, regrole)
    TO privacy_guard_steward, privacy_guard_auditor;

-- Four functions are in roles' plans, and check_new_row() is on the partitions that a role makes. Their argument
-- types, or the lack of anything to learn, keep SQL from using them. They keep the privileges that functions are born with: to read a list of privileges would cost every
-- execution of every plan more than the guard itself.
DO $$
DECLARE
    routine record;
BEGIN
    FOR routine IN
        SELECT p.oid::pg_catalog.regprocedure AS name, p.proacl AS privileges,
               p.proname IN ('guard', 'guard_conflict', 'library_loaded', 'check_new_row', 'pseudonym') AS in_plans
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'privacy_guard_internal'::pg_catalog.regnamespace
    LOOP
        IF NOT routine.in_plans THEN
            EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine.name);
        ELSIF routine.privileges IS NOT NULL THEN
            EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO PUBLIC', routine.name);
        END IF;
    END LOOP;
END $$;

-- The steward named at installation. Everyone after is granted by hand.
DO $$
BEGIN
    EXECUTE pg_catalog.format('GRANT privacy_guard_steward TO %I', session_user);
END $$;

-- Rules and decisions belong into a dump; the identity of the database does not.
DO $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT c.oid::pg_catalog.regclass AS name FROM pg_catalog.pg_class c
         WHERE c.relnamespace = 'privacy_guard'::pg_catalog.regnamespace
           AND c.relkind IN ('r', 'S') AND c.relname <> 'identity'
         ORDER BY c.oid
    LOOP
        PERFORM pg_catalog.pg_extension_config_dump(relation.name, '');
    END LOOP;
END $$;
