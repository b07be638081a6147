-- What is not guarded and looks as if it should be, and who could look past the guard.

CREATE FUNCTION privacy_guard_internal.is_guarded(relation oid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM privacy_guard.guarded_table g WHERE g.relation = is_guarded.relation)
        OR EXISTS (SELECT FROM privacy_guard.guarded_child c WHERE c.relation = is_guarded.relation) $$;
COMMENT ON FUNCTION privacy_guard_internal.is_guarded(oid) IS 'Whether a table, or the one that it is a part of, is guarded.';

CREATE FUNCTION privacy_guard_internal.is_user_schema(schema oid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.nspname NOT IN ('information_schema', 'privacy_guard', 'privacy_guard_internal') AND n.nspname !~ '^pg_'
      FROM pg_namespace n WHERE n.oid = schema $$;
COMMENT ON FUNCTION privacy_guard_internal.is_user_schema(oid) IS 'Whether a schema holds what users made.';

-- A bare "name" may be a product's; it counts only beside something else that is a person's.
CREATE FUNCTION privacy_guard_internal.looks_personal(column_name name) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT lower(column_name::text) ~ ('(^|_)(e?mail|phone|telephone|mobile|fax|birth(day|date|_date)?|dob|born'
        || '|(first|last|full|given|family|middle|maiden|sur|nick|person|contact|customer|user)_?name|surname'
        || '|address|street|postcode|postal_code|zip(_?code)?|ssn|social_security|national_id|tax_id|passport'
        || '|iban|bic|credit_card|card_number|bank_account|ip_address|gender|religion|ethnicity|nationality'
        || '|diagnosis|disability|salary)(_|[0-9]|$)') $$;
COMMENT ON FUNCTION privacy_guard_internal.looks_personal(name) IS 'Whether a column''s name is one that personal data often has.';

CREATE FUNCTION privacy_guard_internal.uncovered_columns()
    RETURNS TABLE (object text, kind text, column_name name, finding text, hint text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH personal AS (
        SELECT c.oid, c.relkind, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND NOT c.relispartition
           AND privacy_guard_internal.is_user_schema(c.relnamespace) AND NOT privacy_guard_internal.is_guarded(c.oid)
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                              AND d.deptype = 'e')
           AND a.attnum > 0 AND NOT a.attisdropped AND privacy_guard_internal.looks_personal(a.attname))
    SELECT p.oid::regclass::text, CASE p.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END, p.attname,
           'looks personal and is not guarded',
           CASE p.relkind WHEN 'f' THEN 'A foreign table cannot be guarded here: restrict its privileges, and guard the table on its own server.'
                ELSE 'Guard the table with privacy_guard.protect().' END
      FROM personal p
    UNION ALL
    SELECT a.attrelid::regclass::text, 'table', a.attname, 'looks personal and is not guarded',
           'Guard the table with privacy_guard.protect().'
      FROM pg_attribute a WHERE a.attname = 'name' AND a.attnum > 0 AND a.attrelid IN (SELECT p.oid FROM personal p) $$;
COMMENT ON FUNCTION privacy_guard_internal.uncovered_columns() IS 'Columns that look personal in tables without guard.';

CREATE FUNCTION privacy_guard_internal.uncovered_readers()
    RETURNS TABLE (object text, kind text, column_name name, finding text, hint text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT c.oid::regclass::text, CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, NULL::name,
           CASE c.relkind WHEN 'm' THEN 'holds a copy of guarded data'
                ELSE format('reads guarded data as %s, which row security does not bind', o.rolname) END,
           CASE c.relkind WHEN 'm' THEN 'Copies are not guarded: drop it, or restrict its privileges.'
                ELSE 'The guard holds here too. Give the view to a role without such rights, or make it security_invoker.' END
      FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
      JOIN pg_roles o ON o.oid = c.relowner
     WHERE privacy_guard_internal.is_guarded(d.refobjid) AND privacy_guard_internal.is_user_schema(c.relnamespace)
       AND (c.relkind = 'm' OR c.relkind = 'v' AND (o.rolsuper OR o.rolbypassrls)
            AND NOT coalesce(c.reloptions::text ~ 'security_invoker=(true|on|1)', false))
    UNION ALL
    SELECT r.rolname, 'role', NULL,
           CASE WHEN r.rolsuper THEN 'is a superuser that can log in' ELSE 'has BYPASSRLS and can log in' END,
           'The guard holds for it; who can change files or start the server without the library is outside of it. Use it for administration only.'
      FROM pg_roles r WHERE (r.rolsuper OR r.rolbypassrls) AND r.rolcanlogin
    UNION ALL
    SELECT p.oid::regprocedure::text, 'function', NULL,
           format('runs as %s for whoever calls it', o.rolname),
           'It needs an entitled owner to read guarded tables. Check who may EXECUTE it.'
      FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner
     WHERE p.prosecdef AND privacy_guard_internal.is_user_schema(p.pronamespace)
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT p.pubname, 'publication', NULL,
           CASE WHEN p.puballtables THEN 'publishes every table' ELSE 'publishes tables of this database' END,
           'Subscribers receive rows past every guard. Publish only tables without personal data.'
      FROM pg_publication p $$;
COMMENT ON FUNCTION privacy_guard_internal.uncovered_readers() IS 'Views, roles, functions and publications that reach data with more than the caller''s rights.';

CREATE FUNCTION privacy_guard_internal.uncovered_rules()
    RETURNS TABLE (object text, kind text, column_name name, finding text, hint text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT g.relation::text, 'guarded table', NULL::name, 'no rule permits any purpose',
           'Nobody sees its rows. Add a rule with privacy_guard.permit().'
      FROM privacy_guard.guarded_table g
     WHERE NOT EXISTS (SELECT FROM privacy_guard.rule r WHERE r.relation = g.relation AND r.effect = 'permit')
    UNION ALL
    SELECT g.relation::text, 'guarded table', NULL, 'is only monitored',
           'Nothing is withheld. See privacy_guard.enforcement_report(), then privacy_guard.set_mode().'
      FROM privacy_guard.guarded_table g WHERE g.mode = 'monitor'
    UNION ALL
    SELECT p.path, 'purpose', NULL, 'no role may work for it', 'Entitle one with privacy_guard.grant_purpose(), or drop it.'
      FROM privacy_guard.purpose p
     WHERE NOT EXISTS (SELECT FROM privacy_guard.purpose_grant g
                        WHERE g.privilege = 'process' AND privacy_guard.covers(g.purpose, p.path)) $$;
COMMENT ON FUNCTION privacy_guard_internal.uncovered_rules() IS 'Guarded tables and purposes that lead nowhere, or are only monitored.';

CREATE FUNCTION privacy_guard_internal.coverage()
    RETURNS TABLE (object text, kind text, column_name name, finding text, hint text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require_reader();
    RETURN QUERY
        SELECT * FROM privacy_guard_internal.uncovered_columns()
        UNION ALL SELECT * FROM privacy_guard_internal.uncovered_readers()
        UNION ALL SELECT * FROM privacy_guard_internal.uncovered_rules()
        ORDER BY 2, 1, 3;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.coverage IS
    'What is not guarded and looks as if it should be: columns with telling names, copies, views and functions with more rights than their callers, roles that row security does not bind, publications, tables without rules, purposes without roles. For stewards and auditors. Errors: 42501.';
CALL privacy_guard_internal.publish('coverage', 'anyone');
