-- Who saw whose data. Every function here is an auditor's, and puts on record that it was asked.

-- ---- reading segments ----

CREATE TYPE privacy_guard_internal.log_record AS (
    origin_id integer, leaf_index bigint, kind text, recorded_at timestamptz, session_id text, execution bigint,
    last_execution bigint, session_role text, role text, application_user text, application_name text,
    client_address text, backend_pid integer, purpose text, purpose_version integer, legal_basis text,
    rule_id integer, operation text, relation text, relation_oid oid, columns text[], recipient text,
    fingerprint bigint, rows bigint, subjects privacy_guard.subject_set, withheld bigint, outcome text,
    sqlstate text, reason text, count bigint, object text, old jsonb, new jsonb, exempt text, text text,
    record bytea);
COMMENT ON TYPE privacy_guard_internal.log_record IS
    'One record of the audit log, decoded; kind "unreadable" where its bytes are no record.';

CREATE FUNCTION privacy_guard_internal.audit_decode(
    records bytea, first_leaf bigint, subject bigint DEFAULT NULL, since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL, kinds integer DEFAULT NULL, actor text DEFAULT NULL,
    session_id text DEFAULT NULL, origin_id integer DEFAULT NULL, newest bigint DEFAULT NULL)
    RETURNS SETOF privacy_guard_internal.log_record
    LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 100 AS 'MODULE_PATHNAME', 'audit_decode';
COMMENT ON FUNCTION privacy_guard_internal.audit_decode IS
    'The records of one segment, as audit_segment.records holds them: those that name a subject, are of a time [since, until), of certain kinds (bit 2^k for kind k), by a role or application user, of a session; and those that cannot be read; of all these the newest so many.';

CREATE FUNCTION privacy_guard_internal.kind_bits(kinds text[]) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text[] := '{access,denial,rollback,policy,consent,break_glass,read,writer,statement,tamper,retention}';
BEGIN
    IF NOT kinds <@ names THEN
        RAISE EXCEPTION 'there is no such kind of record'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Kinds are ' || array_to_string(names, ', ') || '.';
    END IF;
    RETURN CASE WHEN kinds IS NOT NULL THEN
        (SELECT coalesce(bit_or(1 << array_position(names, k)), 0) FROM unnest(kinds) k) END;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.kind_bits(text[]) IS
    'The bits of some kinds of records in audit_segment.kinds; null for null. Errors: 22023.';

-- Segments are chosen by what their rows say without reading the records. The index on subjects holds merged segments
-- only, so fresh ones are asked apart. The planner takes the tables for small: their weight is out of line.
CREATE FUNCTION privacy_guard_internal.subject_records(
    subject bigint, since timestamptz, until timestamptz, kinds integer)
    RETURNS SETOF privacy_guard_internal.log_record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY
        SELECT d.* FROM (
            SELECT s.* FROM privacy_guard.audit_segment s
             WHERE s.level > 0 AND s.subjects OPERATOR(privacy_guard.@>) subject
            UNION ALL
            SELECT s.* FROM privacy_guard.audit_segment s
             WHERE s.level = 0 AND s.subjects OPERATOR(privacy_guard.@>) subject) s
         CROSS JOIN LATERAL privacy_guard_internal.audit_decode(
               s.records, s.first_leaf, subject, since, until, subject_records.kinds, origin_id => s.origin_id) d
         WHERE s.last_time >= coalesce(since, '-infinity') AND s.first_time < coalesce(until, 'infinity')
           AND s.kinds & coalesce(subject_records.kinds, -1) <> 0;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.subject_records(bigint, timestamptz, timestamptz, integer) IS
    'The records that name a data subject, by number; null leaves a condition out.';

CREATE FUNCTION privacy_guard_internal.all_records(
    since timestamptz, until timestamptz, kinds integer, actor text, last_records bigint)
    RETURNS SETOF privacy_guard_internal.log_record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
    RETURN QUERY
        SELECT d.* FROM privacy_guard.audit_segment s
         CROSS JOIN LATERAL privacy_guard_internal.audit_decode(
               s.records, s.first_leaf, NULL, since, until, all_records.kinds, actor, origin_id => s.origin_id,
               newest => last_records) d
         WHERE s.last_time >= coalesce(since, '-infinity') AND s.first_time < coalesce(until, 'infinity')
           AND s.kinds & coalesce(all_records.kinds, -1) <> 0
         ORDER BY s.origin_id DESC, s.first_leaf DESC, d.leaf_index DESC LIMIT last_records;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.all_records(timestamptz, timestamptz, integer, text, bigint) IS
    'Records, the newest first; null leaves a condition out.';

-- What was pushed early and rolled back later is told by a record of its own, after it. In plpgsql, so that the plan is
-- kept: to make it takes longer than to find that nothing was rolled back.
CREATE FUNCTION privacy_guard_internal.rollbacks(from_origin integer, from_leaf bigint)
    RETURNS TABLE (origin_id integer, session_id text, executions int8multirange)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bits integer := privacy_guard_internal.kind_bits('{rollback}');
BEGIN
    RETURN QUERY
    SELECT d.origin_id, d.session_id, range_agg(int8range(d.execution, coalesce(d.last_execution, d.execution), '[]'))
      FROM privacy_guard.audit_segment s
     CROSS JOIN LATERAL privacy_guard_internal.audit_decode(
           s.records, s.first_leaf, kinds => bits, origin_id => s.origin_id) d
     WHERE s.kinds & bits <> 0 AND d.kind = 'rollback'
       AND (s.origin_id, s.first_leaf + s.leaves) > (from_origin, from_leaf)
       AND d.execution <= coalesce(d.last_execution, d.execution)
     GROUP BY d.origin_id, d.session_id;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.rollbacks(integer, bigint) IS
    'The executions that a record after this leaf says were rolled back, by session.';

-- ---- the log ----

-- The one place from which a reading is put on record, with the number of the data subject that was asked about.
CREATE FUNCTION privacy_guard_internal.note_reading(object text, subject bigint DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.audit_event('read', 'Access', object, at_once => true,
        subjects => CASE WHEN subject IS NOT NULL THEN privacy_guard.subject_set(subject) END);
    PERFORM privacy_guard_internal.audit_flush();
END $$;
COMMENT ON FUNCTION privacy_guard_internal.note_reading(text, bigint) IS
    'Puts on record that the invoker reads the audit log, and waits until all that was said before is in it. Errors: 53400, 57014.';

CREATE FUNCTION privacy_guard_internal.audit_records(
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, subject_number bigint DEFAULT NULL,
    last_records bigint DEFAULT NULL, kinds text[] DEFAULT NULL, actor text DEFAULT NULL)
    RETURNS TABLE (
        leaf_index bigint, origin text, recorded_at timestamptz, kind text, session_id text, execution bigint,
        session_role text, role text, application_user text, application_name text, client_address text,
        backend_pid integer, purpose text, purpose_version integer, legal_basis text, rule_id integer, operation text,
        relation text, relation_oid oid, columns text[], recipient text, fingerprint bigint, statement text, rows bigint,
        subjects privacy_guard.subject_set, withheld bigint, outcome text, sqlstate text, reason text, count bigint,
        object text, old jsonb, new jsonb, exempt text, record bytea)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    bits integer := privacy_guard_internal.kind_bits(audit_records.kinds);
BEGIN
    PERFORM privacy_guard_internal.note_reading('audit_log', subject_number);
    RETURN QUERY
        WITH found AS MATERIALIZED (
            SELECT r.* FROM privacy_guard_internal.all_records(
                                audit_records.since, audit_records.until, bits, audit_records.actor, last_records) r
             WHERE subject_number IS NULL
            UNION ALL
            SELECT r.* FROM (
                SELECT r.* FROM privacy_guard_internal.subject_records(
                                    subject_number, audit_records.since, audit_records.until, bits) r
                 WHERE audit_records.actor IS NULL OR r.kind = 'unreadable'
                    OR audit_records.actor IN (r.session_role, r.role, r.application_user)
                 ORDER BY r.origin_id DESC, r.leaf_index DESC LIMIT last_records) r
             WHERE subject_number IS NOT NULL),
        oldest AS (SELECT f.origin_id, f.leaf_index FROM found f ORDER BY 1, 2 LIMIT 1)
        SELECT f.leaf_index, o.name, f.recorded_at, f.kind, f.session_id, f.execution, f.session_role, f.role,
               f.application_user, f.application_name, f.client_address, f.backend_pid, f.purpose, f.purpose_version,
               f.legal_basis, f.rule_id, f.operation, f.relation, f.relation_oid, f.columns, f.recipient,
               f.fingerprint, coalesce(f.text, t.text), f.rows, f.subjects, f.withheld,
               CASE WHEN f.outcome = 'completed' AND b.executions @> f.execution THEN 'rolled_back' ELSE f.outcome END,
               f.sqlstate, f.reason, f.count, f.object, f.old, f.new, f.exempt, f.record
          FROM found f
          LEFT JOIN (SELECT r.* FROM oldest, privacy_guard_internal.rollbacks(oldest.origin_id, oldest.leaf_index) r) b
               USING (origin_id, session_id)
          LEFT JOIN privacy_guard.audit_origin o USING (origin_id)
          LEFT JOIN privacy_guard.audit_statement t USING (fingerprint)
         ORDER BY f.origin_id, f.leaf_index;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.audit_records(timestamptz, timestamptz, bigint, bigint, text[], text) IS
    'Records of the audit log in their order, as privacy_guard.audit_log shows them, without reading what cannot match: of a time [since, until), about a data subject (by number), the last so many, of some kinds, by an actor (session role, role or application user). Records that cannot be read always show. For auditors; reading is on record. Errors: 22023, 42501, 53400, 57014.';
CALL privacy_guard_internal.publish('audit_records', 'auditor');

CREATE VIEW privacy_guard.audit_log AS SELECT * FROM privacy_guard.audit_records();
COMMENT ON VIEW privacy_guard.audit_log IS
    'The whole audit log, one row a record. audit_records() reads parts of it faster. For auditors; reading is on record.';

-- ---- who saw whom ----

CREATE FUNCTION privacy_guard_internal.subject_numbers(subject text, subject_category text) RETURNS bigint[]
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(n.subject ORDER BY n.subject)
      FROM privacy_guard_internal.require_category(subject_category) c
     CROSS JOIN LATERAL privacy_guard_internal.canonical_key(subject_numbers.subject, c) AS canonical
     CROSS JOIN LATERAL (
           SELECT s.subject FROM privacy_guard_internal.stored_subject(c, canonical) s
           UNION
           SELECT a.subject FROM privacy_guard.subject_alias a WHERE a.category_id = c.category_id AND a.key = canonical
           UNION
           SELECT unnest(e.subject || e.aliases) FROM privacy_guard.suppressed_subject e
            WHERE e.category_id = c.category_id
              AND e.key_hmac = (SELECT privacy_guard_internal.subject_digest(c.category_id, canonical)
                                 WHERE EXISTS (SELECT FROM privacy_guard.suppression s WHERE s.category_id = c.category_id))) n $$;
COMMENT ON FUNCTION privacy_guard_internal.subject_numbers(text, text) IS
    'The numbers that stand for a data subject in the audit log; null where it has none. Those of an erased one are known until his proof ends. Errors: 22004, 22P02, 42704, F0000.';

CREATE FUNCTION privacy_guard_internal.tell_unreadable(records bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF records > 0 THEN
        RAISE WARNING 'records of the audit log that cannot be read: %', records
            USING ERRCODE = 'data_corrupted',
                  HINT = 'They may have held what was asked for. privacy_guard.audit_log shows their bytes; see privacy_guard.verify_audit_log().';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.tell_unreadable(bigint) IS 'Warns of damaged records that an answer had to leave out.';

-- A long execution is told in parts, of which only the last knows the outcome, and need not name the same subjects.
CREATE FUNCTION privacy_guard_internal.closing_outcome(
    origin_id integer, leaf_index bigint, session_id text, execution bigint, relation text, operation text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT d.outcome FROM privacy_guard.audit_segment s
     CROSS JOIN LATERAL privacy_guard_internal.audit_decode(
           s.records, s.first_leaf, kinds => privacy_guard_internal.kind_bits('{access}'),
           session_id => closing_outcome.session_id) d
     WHERE s.origin_id = closing_outcome.origin_id AND s.first_leaf + s.leaves > closing_outcome.leaf_index + 1
       AND s.kinds & privacy_guard_internal.kind_bits('{access}') <> 0
       AND d.leaf_index > closing_outcome.leaf_index AND d.execution = closing_outcome.execution AND d.kind = 'access'
       AND d.relation IS NOT DISTINCT FROM closing_outcome.relation
       AND d.operation IS NOT DISTINCT FROM closing_outcome.operation AND d.outcome <> 'open'
     ORDER BY s.first_leaf LIMIT 1 $$;
COMMENT ON FUNCTION privacy_guard_internal.closing_outcome(integer, bigint, text, bigint, text, text) IS
    'How an execution ended of which the record at this leaf is an open part; null where nothing closed it, as after a crash.';

-- One row an execution and guarded table. numbers null: whoever the subjects are.
CREATE FUNCTION privacy_guard_internal.accesses(numbers bigint[], actor text, since timestamptz, until timestamptz)
    RETURNS TABLE (
        recorded_at timestamptz, session_role text, role text, application_user text, purpose text, legal_basis text,
        operation text, relation text, columns text[], recipient text, rows bigint, outcome text, exempt text,
        statement text, application_name text, client_address text, session_id text, execution bigint,
        leaf_index bigint, origin text, subjects privacy_guard.subject_set, withheld bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    bits integer := privacy_guard_internal.kind_bits('{access}');
BEGIN
    RETURN QUERY
        WITH found AS MATERIALIZED (
            SELECT r.* FROM privacy_guard_internal.all_records(
                                accesses.since, accesses.until, bits, accesses.actor, NULL) r
             WHERE numbers IS NULL
            UNION ALL
            SELECT DISTINCT ON (r.origin_id, r.leaf_index) r.*
              FROM unnest(numbers) n
             CROSS JOIN LATERAL privacy_guard_internal.subject_records(n, accesses.since, accesses.until, bits) r),
        parts AS (
            SELECT f.*, row_number() OVER part AS part, sum(f.rows) OVER whole AS all_rows,
                   sum(f.withheld) OVER whole AS all_withheld, last_value(f.outcome) OVER whole AS ending,
                   last_value(f.leaf_index) OVER whole AS last_leaf,
                   privacy_guard.subject_set_union(f.subjects) OVER whole AS all_subjects
              FROM found f WHERE f.kind = 'access'
            WINDOW part AS (PARTITION BY f.origin_id, f.session_id, f.execution, f.relation, f.operation,
                                         CASE WHEN f.execution IS NULL THEN f.leaf_index END ORDER BY f.leaf_index),
                   whole AS (part ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)),
        damage AS MATERIALIZED (
            SELECT privacy_guard_internal.tell_unreadable(count(*)) FROM found f WHERE f.kind = 'unreadable'),
        earliest AS (SELECT p.origin_id, p.leaf_index FROM parts p ORDER BY p.origin_id, p.leaf_index LIMIT 1)
        SELECT p.recorded_at, p.session_role, p.role, p.application_user, p.purpose, p.legal_basis, p.operation,
               p.relation, p.columns, p.recipient, p.all_rows::bigint,
               CASE WHEN b.executions @> p.execution AND p.ending IN ('open', 'completed') THEN 'rolled_back'
                    WHEN p.ending <> 'open' THEN p.ending
                    ELSE coalesce(privacy_guard_internal.closing_outcome(p.origin_id, p.last_leaf, p.session_id,
                                      p.execution, p.relation, p.operation), 'open') END,
               p.exempt, coalesce(p.text, t.text), p.application_name, p.client_address, p.session_id, p.execution,
               p.leaf_index, o.name, p.all_subjects, p.all_withheld::bigint
          FROM damage CROSS JOIN parts p
          LEFT JOIN (SELECT r.* FROM earliest e CROSS JOIN LATERAL privacy_guard_internal.rollbacks(
                                e.origin_id, e.leaf_index) r) b USING (origin_id, session_id)
          LEFT JOIN privacy_guard.audit_origin o USING (origin_id)
          LEFT JOIN privacy_guard.audit_statement t USING (fingerprint)
         WHERE p.part = 1 ORDER BY p.origin_id, p.leaf_index;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.accesses(bigint[], text, timestamptz, timestamptz) IS
    'Accesses to any of these data subjects, or (numbers null) by an actor, with the parts of an execution joined.';

CREATE FUNCTION privacy_guard_internal.accesses_to(
    subject text, subject_category text DEFAULT 'customer', since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL)
    RETURNS TABLE (
        recorded_at timestamptz, session_role text, role text, application_user text, purpose text, legal_basis text,
        operation text, relation text, columns text[], recipient text, rows bigint, outcome text, exempt text,
        statement text, application_name text, client_address text, session_id text, execution bigint,
        leaf_index bigint, origin text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    numbers bigint[];
BEGIN
    PERFORM privacy_guard_internal.require(subject, 'subject');
    PERFORM privacy_guard_internal.require(subject_category, 'subject_category');
    numbers := privacy_guard_internal.subject_numbers(subject, subject_category);
    IF numbers IS NULL THEN
        PERFORM privacy_guard_internal.note_reading('accesses_to');
        RAISE NOTICE 'nothing is on record about this data subject of category "%"', subject_category
            USING HINT = 'Check the key.';
        RETURN;
    END IF;
    PERFORM privacy_guard_internal.note_reading('accesses_to', n) FROM unnest(numbers) n;
    RETURN QUERY
        SELECT a.recorded_at, a.session_role, a.role, a.application_user, a.purpose, a.legal_basis, a.operation,
               a.relation, a.columns, a.recipient, a.rows, a.outcome, a.exempt, a.statement, a.application_name,
               a.client_address, a.session_id, a.execution, a.leaf_index, a.origin
          FROM privacy_guard_internal.accesses(numbers, NULL, accesses_to.since, accesses_to.until) a;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.accesses_to(text, text, timestamptz, timestamptz) IS
    'Who has seen a person''s data, when and why, one row an execution and guarded table, of a time [since, until). rows: of the records that name the person. outcome "open": nothing closed it, as after a crash. For auditors; reading is on record. Errors: 22004, 22P02, 42501, 42704, 53400, 57014.';
CALL privacy_guard_internal.publish('accesses_to', 'auditor');

CREATE FUNCTION privacy_guard_internal.accesses_by(
    actor text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
    RETURNS TABLE (
        recorded_at timestamptz, session_role text, role text, application_user text, purpose text, legal_basis text,
        operation text, relation text, columns text[], recipient text, rows bigint, outcome text, exempt text,
        statement text, application_name text, client_address text, session_id text, execution bigint,
        leaf_index bigint, origin text, subjects privacy_guard.subject_set, withheld bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM privacy_guard_internal.require(actor, 'actor');
    PERFORM privacy_guard_internal.note_reading('accesses_by');
    RETURN QUERY SELECT * FROM privacy_guard_internal.accesses(NULL, actor, accesses_by.since, accesses_by.until);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.accesses_by(text, timestamptz, timestamptz) IS
    'Whose data somebody has seen: the one who logged in (session_role), the role, or the application user. subjects are numbers (subject_state.subject). Of a time [since, until). For auditors; reading is on record. Errors: 22004, 42501, 53400, 57014.';
CALL privacy_guard_internal.publish('accesses_by', 'auditor');

CREATE FUNCTION privacy_guard_internal.data_subjects(subjects privacy_guard.subject_set)
    RETURNS TABLE (subject bigint, subject_category text, key text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM privacy_guard_internal.require(subjects, 'subjects');
    PERFORM privacy_guard_internal.audit_event('read', 'Access', 'data_subjects', at_once => true, subjects => subjects);
    RETURN QUERY
        SELECT n.subject, c.name, k.key
          FROM privacy_guard.subjects(data_subjects.subjects) AS n(subject)
         CROSS JOIN LATERAL (
               SELECT s.category_id, s.key FROM privacy_guard.subject_state s WHERE s.subject = n.subject
               UNION
               SELECT a.category_id, a.key FROM privacy_guard.subject_alias a WHERE a.subject = n.subject) k
          JOIN privacy_guard.subject_category c USING (category_id) ORDER BY c.name, n.subject;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.data_subjects(privacy_guard.subject_set) IS
    'The keys that numbers of the audit log stand for, where the persons must be told (GDPR Art. 34). For auditors; asking is on record with the numbers. Errors: 22004, 42501, 53400.';
CALL privacy_guard_internal.publish('data_subjects', 'auditor');

CREATE FUNCTION privacy_guard_internal.denials(
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, actor text DEFAULT NULL)
    RETURNS TABLE (
        recorded_at timestamptz, session_role text, role text, application_user text, purpose text, operation text,
        relation text, sqlstate text, reason text, count bigint, statement text, application_name text,
        client_address text, session_id text, leaf_index bigint, origin text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    bits integer := privacy_guard_internal.kind_bits('{denial}');
BEGIN
    PERFORM privacy_guard_internal.note_reading('denials');
    RETURN QUERY
        WITH found AS MATERIALIZED (
            SELECT r.* FROM privacy_guard_internal.all_records(denials.since, denials.until, bits, denials.actor, NULL) r),
        damage AS MATERIALIZED (
            SELECT privacy_guard_internal.tell_unreadable(count(*)) FROM found f WHERE f.kind = 'unreadable')
        SELECT r.recorded_at, r.session_role, r.role, r.application_user, r.purpose, r.operation, r.relation,
               r.sqlstate, r.reason, coalesce(r.count, 1), coalesce(r.text, t.text), r.application_name,
               r.client_address, r.session_id, r.leaf_index, o.name
          FROM damage CROSS JOIN found r
          LEFT JOIN privacy_guard.audit_origin o USING (origin_id)
          LEFT JOIN privacy_guard.audit_statement t USING (fingerprint)
         WHERE r.kind = 'denial' ORDER BY r.origin_id, r.leaf_index;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.denials(timestamptz, timestamptz, text) IS
    'What was refused, to whom and why, of a time [since, until); equal refusals of one transaction are one row with their count. For auditors; reading is on record. Errors: 42501, 53400, 57014.';
CALL privacy_guard_internal.publish('denials', 'auditor');

-- ---- when was what protected ----

-- From the history of the rules: rows where the state of a table, of a role's mode or of an exemption changes.
CREATE FUNCTION privacy_guard_internal.rule_intervals()
    RETURNS TABLE (relation text, role text, state text, since timestamptz, until timestamptz, reason text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH changes AS (
        SELECT h.object, h.relation AS table_id, h.role AS role_id, h.changed_at, h.history_id,
               coalesce(h.new_row, h.old_row) AS entry,
               CASE WHEN h.operation = 'DELETE' THEN CASE WHEN h.object = 'guarded_table' THEN 'unprotected' END
                    WHEN h.object = 'exempt_role' THEN 'exempt'
                    WHEN h.new_row ->> 'mode' = 'monitor' THEN 'monitored' ELSE 'enforced' END AS state
          FROM privacy_guard.policy_history h WHERE h.object IN ('guarded_table', 'table_mode', 'exempt_role')),
    marked AS (
        SELECT c.*, ROW(c.state, c.entry -> 'reason', c.entry -> 'valid_until') IS DISTINCT FROM
                    lag(ROW(c.state, c.entry -> 'reason', c.entry -> 'valid_until')) OVER history AS differs
          FROM changes c
        WINDOW history AS (PARTITION BY c.object, c.table_id, c.role_id ORDER BY c.changed_at, c.history_id)),
    intervals AS (
        SELECT m.*, lead(m.changed_at) OVER (PARTITION BY m.object, m.table_id, m.role_id
                                             ORDER BY m.changed_at, m.history_id) AS ended
          FROM marked m WHERE m.differs)
    SELECT i.entry ->> 'relation', i.entry ->> 'role', i.state, i.changed_at,
           least(i.ended, nullif((i.entry ->> 'valid_until')::timestamptz, 'infinity')), i.entry ->> 'reason'
      FROM intervals i WHERE i.state IS NOT NULL
    UNION ALL
    SELECT NULL, u.role, 'exempt', u.opened_at, coalesce(u.ended_at, u.valid_until), 'break-glass: ' || u.reason
      FROM privacy_guard.break_glass_use u $$;
COMMENT ON FUNCTION privacy_guard_internal.rule_intervals() IS
    'What was guarded, only monitored, or open to a role, from when to when.';

-- The writer says when it starts and stops, and what it finds out about the time between (src/worker/witness.c).
CREATE FUNCTION privacy_guard_internal.absences()
    RETURNS TABLE (state text, since timestamptz, until timestamptz, reason text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH segments AS (
        SELECT s.origin_id, s.first_leaf, s.kinds, s.records,
               lag(s.last_time) OVER (PARTITION BY s.origin_id ORDER BY s.first_leaf) AS before
          FROM privacy_guard.audit_segment s),
    records AS (
        SELECT d.origin_id, d.leaf_index, d.kind, d.operation, d.reason, d.recorded_at,
               coalesce(lag(d.recorded_at) OVER (PARTITION BY s.origin_id, s.first_leaf ORDER BY d.leaf_index), s.before) AS last_sign
          FROM segments s
         CROSS JOIN LATERAL privacy_guard_internal.audit_decode(s.records, s.first_leaf, origin_id => s.origin_id) d
         WHERE s.kinds & privacy_guard_internal.kind_bits('{writer}') <> 0),
    events AS (
        SELECT r.operation, r.reason, r.recorded_at, r.last_sign, lag(r.operation) OVER told AS before,
               lag(r.reason) OVER told AS reason_before
          FROM records r WHERE r.kind = 'writer' WINDOW told AS (PARTITION BY r.origin_id ORDER BY r.leaf_index))
    SELECT CASE WHEN e.operation = 'start' OR e.reason = 'crash' THEN 'server down'
                WHEN e.reason IN ('library absent', 'writer absent') THEN 'library absent' ELSE 'unknown' END,
           e.last_sign, e.recorded_at, CASE e.operation WHEN 'start' THEN e.reason_before ELSE e.reason END
      FROM events e
     WHERE e.operation = 'gap' OR e.operation = 'start' AND e.before = 'stop' AND e.reason_before = 'shutdown' $$;
COMMENT ON FUNCTION privacy_guard_internal.absences() IS
    'When nothing could be recorded in this database because the server was down or ran without the library, as far as the writer could tell.';

CREATE FUNCTION privacy_guard_internal.protection_history()
    RETURNS TABLE (relation text, role text, state text, since timestamptz, until timestamptz, reason text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.note_reading('protection_intervals');
    RETURN QUERY
        SELECT p.* FROM (SELECT * FROM privacy_guard_internal.rule_intervals()
                         UNION ALL
                         SELECT NULL, NULL, a.state, a.since, a.until, a.reason FROM privacy_guard_internal.absences() a) p
         ORDER BY p.since, p.relation, p.role;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.protection_history() IS 'The rows of privacy_guard.protection_intervals.';
CALL privacy_guard_internal.publish('protection_history', 'auditor');

CREATE VIEW privacy_guard.protection_intervals AS SELECT * FROM privacy_guard.protection_history();
COMMENT ON VIEW privacy_guard.protection_intervals IS
    'From when to when (until null: still) a table was enforced, monitored or unprotected, a role had another mode or was exempt, and the server was down or the library absent. relation null: every guarded table; role null: every role. For auditors; reading is on record.';
