-- The audit log. Only the audit writer adds to it; the library refuses everyone else, also superusers.
-- The format of records stands in doc/audit.md, and in src/audit/record.h.

CREATE TABLE privacy_guard.audit_origin (
    origin_id integer PRIMARY KEY,
    name text NOT NULL,
    system_identifier bigint NOT NULL,
    database oid NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL);
COMMENT ON TABLE privacy_guard.audit_origin IS
    'Where a log began: each has a tree of its own. A restored or copied database begins another.';
COMMENT ON COLUMN privacy_guard.audit_origin.name IS 'The origin line of its checkpoints (C2SP tlog-checkpoint).';

CREATE TABLE privacy_guard.audit_segment (
    origin_id integer NOT NULL,
    first_leaf bigint NOT NULL,
    leaves integer NOT NULL,
    sealed_at timestamptz NOT NULL,
    level smallint NOT NULL,
    first_time timestamptz NOT NULL,
    last_time timestamptz NOT NULL,
    kinds integer NOT NULL,
    subjects privacy_guard.subject_set NOT NULL,
    records bytea NOT NULL,
    marks bytea NOT NULL,
    nodes bytea NOT NULL,
    frontier bytea NOT NULL)
    PARTITION BY RANGE (sealed_at);
-- Not every server is built with it.
DO $$
BEGIN
    ALTER TABLE privacy_guard.audit_segment ALTER COLUMN records SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
COMMENT ON TABLE privacy_guard.audit_segment IS 'The records of the audit log, many to a row. A partition for each month.';
COMMENT ON COLUMN privacy_guard.audit_segment.sealed_at IS 'When its last record was stored. Never goes back, whatever the clock does.';
COMMENT ON COLUMN privacy_guard.audit_segment.level IS '0 while it may be merged with its neighbours; then 1, and its subjects are in the index.';
COMMENT ON COLUMN privacy_guard.audit_segment.kinds IS 'Bit 2^k for each kind k of its records.';
COMMENT ON COLUMN privacy_guard.audit_segment.subjects IS 'Every data subject that one of its records names.';
COMMENT ON COLUMN privacy_guard.audit_segment.records IS 'The records (CBOR), each after its length in four bytes, the highest first.';
COMMENT ON COLUMN privacy_guard.audit_segment.marks IS 'The first eight bytes of each leaf hash: they name the record that does not fit.';
COMMENT ON COLUMN privacy_guard.audit_segment.nodes IS 'The hash of each complete subtree of 256 leaves that ends in it (RFC 9162).';
COMMENT ON COLUMN privacy_guard.audit_segment.frontier IS 'The hashes of the perfect subtrees of the whole tree up to its end, the largest first.';

CREATE TABLE privacy_guard.audit_statement (
    fingerprint bigint PRIMARY KEY,
    text text NOT NULL,
    recorded_at timestamptz NOT NULL);
COMMENT ON TABLE privacy_guard.audit_statement IS 'The text of each recorded statement, with its literals replaced.';

CREATE TABLE privacy_guard.audit_checkpoint (
    origin_id integer NOT NULL,
    tree_size bigint NOT NULL,
    root bytea NOT NULL,
    signed_at timestamptz NOT NULL,
    timeline integer NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (origin_id, tree_size));
COMMENT ON TABLE privacy_guard.audit_checkpoint IS 'Tree heads of the audit log as they were signed and shipped (C2SP tlog-checkpoint).';

CREATE TABLE privacy_guard.audit_prune (
    origin_id integer NOT NULL,
    tree_size bigint NOT NULL,
    frontier bytea NOT NULL,
    root bytea NOT NULL,
    pruned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    pruned_by text NOT NULL,
    PRIMARY KEY (origin_id, tree_size));
COMMENT ON TABLE privacy_guard.audit_prune IS 'Where the log begins after its beginning was pruned, and what its tree goes on from.';

CREATE TABLE privacy_guard.subject_alias (
    category_id integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    subject bigint PRIMARY KEY);
CREATE INDEX subject_alias_key ON privacy_guard.subject_alias (category_id, key);
COMMENT ON TABLE privacy_guard.subject_alias IS
    'Further numbers of a data subject: given while the open transaction of another session held its first.';

-- What the audit writer calls.

-- The partitions are no members of the extension, so that a dump has them with their rows. Their indexes are their own:
-- those of the parent would be made, under the same names, when a restore attaches a partition, and again after its data.
CREATE FUNCTION privacy_guard_internal.make_audit_partition(month integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    suffix text := to_char(month, 'FM000000');
    partition text := 'privacy_guard_internal.audit_segment_' || suffix;
    month_begins timestamptz := make_timestamptz(month / 100, month % 100, 1, 0, 0, 0, 'UTC');
    month_ends timestamptz := (month_begins AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
    grantee record;
BEGIN
    EXECUTE format('CREATE TABLE %s (LIKE privacy_guard.audit_segment INCLUDING ALL EXCLUDING COMMENTS)', partition);
    EXECUTE format('CREATE UNIQUE INDEX audit_leaf_%s ON %s (origin_id, first_leaf)', suffix, partition);
    -- Which records name a subject: by the one index, or among the few rows of the other.
    EXECUTE format('CREATE INDEX audit_subjects_%s ON %s USING gin (subjects) WHERE level > 0', suffix, partition);
    EXECUTE format('CREATE INDEX audit_small_%s ON %s (origin_id, first_leaf) WHERE level = 0', suffix, partition);
    -- Or a publication of all tables would keep small rows from being merged.
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX audit_leaf_%s', partition, suffix);
    EXECUTE format('COMMENT ON TABLE %s IS %L', partition,
                   format('Records of the audit log that were stored in %s (UTC).', to_char(month_begins AT TIME ZONE 'UTC', 'FMMonth YYYY')));
    -- Default privileges may have given some away.
    FOR grantee IN
        SELECT DISTINCT a.grantee AS oid FROM pg_class c, aclexplode(c.relacl) a
         WHERE c.oid = partition::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', partition,
                       CASE grantee.oid WHEN 0 THEN 'PUBLIC' ELSE grantee.oid::regrole::text END);
    END LOOP;
    -- Attached, and not made as a partition, it does not wait for readers of the others.
    EXECUTE format('ALTER TABLE privacy_guard.audit_segment ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
                   partition, month_begins, month_ends);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.make_audit_partition(integer) IS
    'Makes the partition of the audit log for a month, such as 202511.';

CREATE FUNCTION privacy_guard_internal.begin_audit_origin(reason text) RETURNS integer
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO privacy_guard.audit_origin (origin_id, name, system_identifier, database, reason)
    SELECT n.id, format('privacy_guard/%s/%s/%s',
               c.system_identifier::numeric + CASE WHEN c.system_identifier < 0 THEN 18446744073709551616 ELSE 0 END,
               d.oid, n.id),
           c.system_identifier, d.oid, begin_audit_origin.reason
      FROM pg_control_system() c, pg_database d,
           (SELECT greatest((SELECT max(o.origin_id) FROM privacy_guard.audit_origin o),
                            (SELECT max(s.origin_id) FROM privacy_guard.audit_segment s),
                            (SELECT max(k.origin_id) FROM privacy_guard.audit_checkpoint k), 0) + 1) n (id)
     WHERE d.datname = current_database()
    RETURNING origin_id $$;
COMMENT ON FUNCTION privacy_guard_internal.begin_audit_origin(text) IS
    'Begins the audit log anew, with a tree of its own. The audit writer notices.';
