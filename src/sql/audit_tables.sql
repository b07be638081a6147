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
    records bytea COMPRESSION lz4 NOT NULL,
    marks bytea NOT NULL,
    nodes bytea NOT NULL,
    frontier bytea NOT NULL)
    PARTITION BY RANGE (sealed_at);
CREATE INDEX audit_segment_leaf ON privacy_guard.audit_segment (origin_id, first_leaf);
CREATE INDEX audit_segment_subjects ON privacy_guard.audit_segment USING gin (subjects) WHERE level > 0;
COMMENT ON TABLE privacy_guard.audit_segment IS 'The records of the audit log, many to a row.';
COMMENT ON COLUMN privacy_guard.audit_segment.sealed_at IS 'When its last record was stored. Never goes back, whatever the clock does.';
COMMENT ON COLUMN privacy_guard.audit_segment.level IS 'How often it came out of merging smaller ones.';
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
