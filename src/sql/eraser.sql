-- The eraser: a background worker (src/worker/eraser.c). What it does stands in erase.sql.

CREATE FUNCTION privacy_guard_internal.wake_eraser() RETURNS void
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'eraser_wake_at_commit';
COMMENT ON FUNCTION privacy_guard_internal.wake_eraser() IS
    'Has the eraser of this database come soon after this transaction has committed: something may be due that was not.';

CREATE FUNCTION privacy_guard_internal.wake_eraser_on_change() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'eraser_wake_at_commit';
COMMENT ON FUNCTION privacy_guard_internal.wake_eraser_on_change() IS 'The same, after a change of rules.';

CREATE TRIGGER wake_eraser AFTER INSERT OR UPDATE OR DELETE ON privacy_guard.retention
    FOR EACH STATEMENT EXECUTE FUNCTION privacy_guard_internal.wake_eraser_on_change();
CREATE TRIGGER wake_eraser AFTER DELETE ON privacy_guard.hold
    FOR EACH STATEMENT EXECUTE FUNCTION privacy_guard_internal.wake_eraser_on_change();

CREATE FUNCTION privacy_guard_internal.eraser_next_run() RETURNS timestamptz
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'eraser_next_run';
COMMENT ON FUNCTION privacy_guard_internal.eraser_next_run() IS
    'When the eraser of this database is to be started next; NULL when nothing is to be erased here, or only by hand.';

CREATE FUNCTION privacy_guard_internal.eraser_progress(
    OUT pid integer, OUT database oid, OUT phase text, OUT started_at timestamptz, OUT rows bigint, OUT task text,
    OUT relation oid, OUT task_started_at timestamptz, OUT task_reported_at timestamptz, OUT task_rows bigint,
    OUT task_batches bigint) RETURNS SETOF record
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'eraser_progress';
COMMENT ON FUNCTION privacy_guard_internal.eraser_progress() IS 'What the erasers of all databases are doing, from shared memory.';

-- A verb, so that the library's functions stay the owner's.
CREATE FUNCTION privacy_guard_internal.read_retention_progress()
    RETURNS TABLE (pid integer, database name, table_name regclass, task text, phase text, rows_done bigint,
                   batches bigint, rows_per_second numeric, task_started timestamptz, run_rows bigint,
                   run_started timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT p.pid, d.datname, CASE WHEN d.datname = current_database() THEN p.relation::regclass END, p.task, p.phase,
           p.task_rows, p.task_batches,
           round(p.task_rows / nullif(extract(epoch FROM p.task_reported_at - p.task_started_at), 0), 1),
           p.task_started_at, p.rows, p.started_at
      FROM privacy_guard_internal.eraser_progress() p JOIN pg_database d ON d.oid = p.database;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.read_retention_progress() IS 'The rows of privacy_guard.retention_progress.';
CALL privacy_guard_internal.publish('read_retention_progress', 'anyone');

CREATE VIEW privacy_guard.retention_progress AS SELECT * FROM privacy_guard.read_retention_progress();
COMMENT ON VIEW privacy_guard.retention_progress IS
    'The erasers that are at work now, one row a database: task and table (of this database only), rows and batches of that task, and rows of the whole run. For monitoring (pg_monitor), stewards and auditors.';
REVOKE ALL ON FUNCTION privacy_guard.read_retention_progress() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION privacy_guard.read_retention_progress()
    TO pg_monitor, privacy_guard_steward, privacy_guard_auditor;
GRANT SELECT ON privacy_guard.retention_progress TO pg_monitor, privacy_guard_steward, privacy_guard_auditor;
