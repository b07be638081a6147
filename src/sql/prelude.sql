\echo Use "CREATE EXTENSION privacy_guard" to load this file. \quit

-- Refuse to install where nothing would be enforced.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.regexp_split_to_table(
                       pg_catalog.current_setting('shared_preload_libraries'), '\s*,\s*') AS library
                   WHERE pg_catalog.btrim(library, ' "') ~ '(^|/)privacy_guard(\.so)?$') THEN
        RAISE EXCEPTION 'privacy_guard must be loaded by the server before it is installed'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Add privacy_guard to shared_preload_libraries and restart the server.';
    END IF;
END $$;

-- Refuse a schema that somebody else made beforehand, with what may be in it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace n
                WHERE n.nspname = 'privacy_guard'
                  AND (n.nspowner <> pg_catalog.to_regrole(pg_catalog.quote_ident(current_user))::oid
                       OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
                       OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid)
                       OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid))) THEN
        RAISE EXCEPTION 'schema "privacy_guard" exists already'
            USING ERRCODE = 'duplicate_schema', HINT = 'Drop the schema; the extension makes its own.';
    END IF;
END $$;

CREATE SCHEMA privacy_guard_internal;
COMMENT ON SCHEMA privacy_guard_internal IS
    'The bodies of the public functions of privacy_guard. They run only when called through those.';

-- Roles belong to the cluster: another database may have made them already.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['privacy_guard_steward', 'privacy_guard_auditor', 'privacy_guard_break_glass']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END $$;
