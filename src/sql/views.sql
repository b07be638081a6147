-- Views for people. Each says who may read it.

CREATE VIEW privacy_guard.purposes AS
    SELECT p.path AS purpose, p.version, p.legal_basis, p.consent_type, p.description, p.record_basis,
           p.double_opt_in, p.automated_decisions, p.export, p.legal_claims, p.rights_of_others,
           p.important_public_interest, p.subject_rights,
           (SELECT array_agg(g.role ORDER BY g.role::text) FROM privacy_guard.purpose_grant g
             WHERE g.purpose = p.path AND g.privilege = 'process') AS processed_by,
           (SELECT array_agg(g.role ORDER BY g.role::text) FROM privacy_guard.purpose_grant g
             WHERE g.purpose = p.path AND g.privilege = 'collect') AS collected_by,
           (SELECT array_agg(g.role ORDER BY g.role::text) FROM privacy_guard.purpose_grant g
             WHERE g.purpose = p.path AND g.privilege = 'confirm') AS confirmed_by,
           p.created_at, p.changed_at
      FROM privacy_guard.purpose p;
COMMENT ON VIEW privacy_guard.purposes IS 'Purposes and the roles that were granted them; grants reach down the tree. For everyone.';

CREATE VIEW privacy_guard.guarded_tables AS
    SELECT g.relation AS table_name, c.name AS subject_category, g.subject_columns, g.subject_via, g.consent_column,
           g.null_subject, g.audit_level, g.mode,
           (SELECT array_agg(m.role::text || ': ' || m.mode ORDER BY m.role::text) FROM privacy_guard.table_mode m
             WHERE m.relation = g.relation) AS role_modes,
           (SELECT array_agg(k.relation ORDER BY k.relation) FROM privacy_guard.guarded_child k
             WHERE k.root = g.relation) AS children,
           g.protected_by, g.protected_at
      FROM privacy_guard.guarded_table g JOIN privacy_guard.subject_category c USING (category_id);
COMMENT ON VIEW privacy_guard.guarded_tables IS 'Tables under protection. For stewards and auditors.';

CREATE VIEW privacy_guard.rules AS
    SELECT r.relation AS table_name, r.purpose, r.effect, coalesce(r.legal_basis, p.legal_basis) AS legal_basis,
           c.name AS subject_category, r.created_by, r.created_at
      FROM privacy_guard.rule r JOIN privacy_guard.purpose p ON p.path = r.purpose
      LEFT JOIN privacy_guard.subject_category c USING (category_id);
COMMENT ON VIEW privacy_guard.rules IS
    'What purposes may see of guarded tables; legal_basis is the one in force, subject_category NULL is every. For stewards and auditors.';

CREATE VIEW privacy_guard.consents AS
    SELECT c.name AS subject_category, s.key AS subject, d.purpose, d.channel, d.recipient, d.status, d.consent_type,
           d.event_time, d.valid_until, d.version AS purpose_version, s.subject AS pii_principal_id
      FROM privacy_guard.subject_state s JOIN privacy_guard.subject_category c USING (category_id)
     CROSS JOIN LATERAL privacy_guard.decisions(s.consent) d;
COMMENT ON VIEW privacy_guard.consents IS
    'Current decisions of every data subject, one row a decision; their history is in consent_record. For stewards.';

GRANT SELECT ON privacy_guard.audit_log, privacy_guard.protection_intervals TO privacy_guard_auditor;
GRANT SELECT ON privacy_guard.guarded_tables, privacy_guard.rules TO privacy_guard_steward, privacy_guard_auditor;
GRANT SELECT ON privacy_guard.consents TO privacy_guard_steward;
GRANT SELECT ON privacy_guard.consent_record, privacy_guard.subject_event, privacy_guard.policy_history,
    privacy_guard.break_glass_use TO privacy_guard_steward, privacy_guard_auditor;

-- A verb because it reads the audit log's own tables; what it tells is counts and times.
CREATE FUNCTION privacy_guard_internal.read_status() RETURNS TABLE (item text, value text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'version', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'privacy_guard')
    UNION ALL SELECT 'guards', CASE WHEN EXISTS (
        SELECT FROM privacy_guard.identity i JOIN pg_database d ON d.oid = i.database
          WHERE d.datname = current_database()
            AND i.system_identifier = (SELECT c.system_identifier FROM pg_control_system() c))
        OR NOT EXISTS (SELECT FROM privacy_guard.guarded_table) THEN 'in force' ELSE 'pending: finish_restore()' END
    UNION ALL SELECT 'guarded tables', count(*)::text FROM privacy_guard.guarded_table
    UNION ALL SELECT 'guarded tables only monitored', count(*)::text FROM privacy_guard.guarded_table g WHERE g.mode = 'monitor'
    UNION ALL SELECT 'rules', count(*)::text FROM privacy_guard.rule
    UNION ALL SELECT 'purposes', count(*)::text FROM privacy_guard.purpose
    UNION ALL SELECT 'data subjects (estimate)', greatest(c.reltuples, 0)::bigint::text FROM pg_class c
               WHERE c.oid = 'privacy_guard.subject_state'::regclass
    UNION ALL SELECT 'exempt roles', count(*)::text FROM privacy_guard.exempt_role e WHERE e.valid_until > clock_timestamp()
    UNION ALL SELECT 'open break-glass', count(*)::text FROM privacy_guard.break_glass_use u
               WHERE u.ended_at IS NULL AND u.valid_until > clock_timestamp()
    UNION ALL SELECT 'confirmations to send', count(*)::text FROM privacy_guard.consent_confirmation c
               WHERE c.token IS NOT NULL AND c.expires_at > clock_timestamp()
    UNION ALL SELECT 'erasures kept back', count(*)::text FROM privacy_guard.erasure e WHERE e.status = 'kept'
    UNION ALL SELECT 'erased data subjects', count(*)::text FROM privacy_guard.suppressed_subject s WHERE s.readmitted_at IS NULL
    UNION ALL SELECT 'audit durability', current_setting('privacy_guard.audit_durability')
    UNION ALL SELECT 'audit writer', coalesce(
        (SELECT 'running since ' || date_trunc('second', a.backend_start) FROM pg_stat_activity a
          WHERE a.backend_type = 'privacy_guard audit writer' AND a.datname = current_database() LIMIT 1), 'not running')
    UNION ALL SELECT 'audit log', coalesce(
        (SELECT format('%s records in %s', s.first_leaf + s.leaves, o.name)
           FROM privacy_guard.audit_segment s JOIN privacy_guard.audit_origin o USING (origin_id)
          ORDER BY s.origin_id DESC, s.first_leaf DESC LIMIT 1), 'empty')
    UNION ALL SELECT 'audit log last stored', (
        SELECT s.sealed_at::text FROM privacy_guard.audit_segment s ORDER BY s.origin_id DESC, s.first_leaf DESC LIMIT 1)
    UNION ALL SELECT 'audit log last checkpoint', coalesce(
        (SELECT format('%s records, %s', c.tree_size, c.signed_at) FROM privacy_guard.audit_checkpoint c
          ORDER BY c.origin_id DESC, c.tree_size DESC LIMIT 1), 'none')
    UNION ALL SELECT 'eraser', coalesce(
        (SELECT 'running since ' || date_trunc('second', a.backend_start) FROM pg_stat_activity a
          WHERE a.backend_type = 'privacy_guard eraser' AND a.datname = current_database() LIMIT 1),
        CASE WHEN current_setting('privacy_guard.erase_interval') = '0' THEN 'off: erase_interval is 0' END,
        'next run at ' || date_trunc('second', privacy_guard_internal.eraser_next_run()), 'nothing to erase');
END $$;
COMMENT ON FUNCTION privacy_guard_internal.read_status() IS 'The rows of privacy_guard.status.';
CALL privacy_guard_internal.publish('read_status', 'anyone');

CREATE VIEW privacy_guard.status AS SELECT * FROM privacy_guard.read_status();
COMMENT ON VIEW privacy_guard.status IS 'State of the extension in this database, one row an item. For monitoring (pg_monitor), stewards and auditors.';
REVOKE ALL ON FUNCTION privacy_guard.read_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION privacy_guard.read_status() TO pg_monitor, privacy_guard_steward, privacy_guard_auditor;
GRANT SELECT ON privacy_guard.status TO pg_monitor, privacy_guard_steward, privacy_guard_auditor;
