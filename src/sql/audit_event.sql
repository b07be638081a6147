-- What the functions of privacy_guard have to say to the audit log: see src/audit/trail.c.

CREATE FUNCTION privacy_guard_internal.audit_event(
    kind text, operation text, object text DEFAULT NULL, purpose text DEFAULT NULL, relation oid DEFAULT NULL,
    reason text DEFAULT NULL, old text DEFAULT NULL, new text DEFAULT NULL,
    subjects privacy_guard.subject_set DEFAULT NULL, rows bigint DEFAULT NULL, recipient text DEFAULT NULL,
    at_once boolean DEFAULT false) RETURNS void
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'trail_audit_event';
COMMENT ON FUNCTION privacy_guard_internal.audit_event(
    text, text, text, text, oid, text, text, text, privacy_guard.subject_set, bigint, text, boolean) IS
    'Puts an event on record, with the outcome of its transaction, or at once whatever becomes of that. Errors: 53400 when the log cannot be written in time.';

CREATE FUNCTION privacy_guard_internal.audit_flush() RETURNS void
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'trail_audit_flush';
COMMENT ON FUNCTION privacy_guard_internal.audit_flush() IS
    'Waits until the log holds everything that was said so far. Errors: 53400 after audit_timeout, 57014.';
