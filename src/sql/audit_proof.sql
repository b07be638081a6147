-- Proofs that the audit log is what it was: its Merkle tree (RFC 9162), checkpoints, verification, pruning.
-- doc/audit.md says how to verify without any of these functions.

-- Of bytes alone: for whoever holds records, proofs and tree heads.

CREATE FUNCTION privacy_guard.merkle_root(records bytea[]) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'proof_merkle_root';
COMMENT ON FUNCTION privacy_guard.merkle_root(bytea[]) IS
    'The root of the Merkle tree (RFC 9162) with these records as leaves. Errors: 22004.';

CREATE FUNCTION privacy_guard.verify_inclusion(record bytea, leaf_index bigint, tree_size bigint, proof bytea[], root bytea)
    RETURNS boolean LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'proof_verify_inclusion';
COMMENT ON FUNCTION privacy_guard.verify_inclusion(bytea, bigint, bigint, bytea[], bytea) IS
    'Whether a proof shows that a record is leaf number leaf_index, from 0 on, of the tree of that size and root. Errors: 22004.';

CREATE FUNCTION privacy_guard.verify_consistency(first bigint, first_root bytea, second bigint, second_root bytea, proof bytea[])
    RETURNS boolean LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'proof_verify_consistency';
COMMENT ON FUNCTION privacy_guard.verify_consistency(bigint, bytea, bigint, bytea, bytea[]) IS
    'Whether a proof shows that the tree of size second begins with that of size first. Errors: 22004.';

-- Of the stored log.

CREATE FUNCTION privacy_guard_internal.frontier_root(tree_size bigint, frontier bytea) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'stored_frontier_root';
COMMENT ON FUNCTION privacy_guard_internal.frontier_root(bigint, bytea) IS
    'The root of a tree, from the hashes of its perfect subtrees. Errors: XX001.';

CREATE FUNCTION privacy_guard_internal.log_head(of_origin integer)
    RETURNS TABLE (origin_id integer, origin text, tree_size bigint, frontier bytea, sealed_at timestamptz)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT o.origin_id, o.name, coalesce(s.tree_size, p.tree_size, 0), coalesce(s.frontier, p.frontier, ''), s.sealed_at
      FROM privacy_guard.audit_origin o
      LEFT JOIN LATERAL (SELECT a.first_leaf + a.leaves AS tree_size, a.frontier, a.sealed_at
                           FROM privacy_guard.audit_segment a WHERE a.origin_id = o.origin_id
                          ORDER BY a.first_leaf DESC LIMIT 1) s ON true
      LEFT JOIN LATERAL (SELECT a.tree_size, a.frontier
                           FROM privacy_guard.audit_prune a WHERE a.origin_id = o.origin_id
                          ORDER BY a.tree_size DESC LIMIT 1) p ON true
     WHERE o.origin_id = coalesce(of_origin, (SELECT max(a.origin_id) FROM privacy_guard.audit_origin a));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.log_head(integer) IS 'The end of the log of an origin; with null, of the present one.';

CREATE FUNCTION privacy_guard_internal.audit_tree_head()
    RETURNS TABLE (origin text, tree_size bigint, root bytea, sealed_at timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.audit_flush();
    RETURN QUERY
    SELECT h.origin, h.tree_size, privacy_guard_internal.frontier_root(h.tree_size, h.frontier), h.sealed_at
      FROM privacy_guard_internal.log_head(NULL) h;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.audit_tree_head() IS
    'How many records the audit log has and the root of their Merkle tree; no row before there is a log. Errors: 42501, 53400.';
CALL privacy_guard_internal.publish('audit_tree_head', 'auditor');

CREATE FUNCTION privacy_guard_internal.audit_inclusion_proof(
    leaf_index bigint, tree_size bigint DEFAULT NULL, origin integer DEFAULT NULL) RETURNS bytea[]
    LANGUAGE C AS 'MODULE_PATHNAME', 'stored_inclusion_proof';
COMMENT ON FUNCTION privacy_guard_internal.audit_inclusion_proof(bigint, bigint, integer) IS
    'Proves that a record is in the tree of that size, by default the present one: for verify_inclusion(), or any implementation of RFC 9162, 2.1.3. Errors: 22004, 22023, 42501, XX001.';
CALL privacy_guard_internal.publish('audit_inclusion_proof', 'auditor');

CREATE FUNCTION privacy_guard_internal.audit_consistency_proof(
    first bigint, second bigint DEFAULT NULL, origin integer DEFAULT NULL) RETURNS bytea[]
    LANGUAGE C AS 'MODULE_PATHNAME', 'stored_consistency_proof';
COMMENT ON FUNCTION privacy_guard_internal.audit_consistency_proof(bigint, bigint, integer) IS
    'Proves that the log of size second, by default the present one, begins with what it was at size first: for verify_consistency(), or any implementation of RFC 9162, 2.1.4. Errors: 22004, 22023, 42501, XX001.';
CALL privacy_guard_internal.publish('audit_consistency_proof', 'auditor');

-- Checkpoints.

CREATE FUNCTION privacy_guard_internal.make_checkpoint(origin integer) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'checkpoint_make_now';
COMMENT ON FUNCTION privacy_guard_internal.make_checkpoint(integer) IS
    'Signs, stores and ships the tree head of an origin, with null of the present one, unless that was done. Errors: 55000, F0000.';

CREATE FUNCTION privacy_guard_internal.audit_checkpoint() RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.audit_flush();
    RETURN privacy_guard_internal.make_checkpoint(NULL);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.audit_checkpoint() IS
    'The signed tree head of the audit log as it is now (C2SP tlog-checkpoint), stored and shipped. Keep it where nobody who administers this server can change it. Errors: 42501, 53400, 55000, F0000.';
CALL privacy_guard_internal.publish('audit_checkpoint', 'auditor');

CREATE FUNCTION privacy_guard_internal.checkpoint_public_key() RETURNS TABLE (public_key text, verifier_key text)
    LANGUAGE C AS 'MODULE_PATHNAME', 'checkpoint_key';
COMMENT ON FUNCTION privacy_guard_internal.checkpoint_public_key() IS
    'The public key that checkpoints verify with: in PEM for openssl, and as C2SP''s tools take it. Errors: 42501, 55000, F0000.';
CALL privacy_guard_internal.publish('checkpoint_public_key', 'auditor');

CREATE FUNCTION privacy_guard_internal.walk_audit_log(checkpoint text, public_key text)
    RETURNS TABLE (ok boolean, origin text, tree_size bigint, root bytea, first_bad_leaf bigint, finding text, hint text)
    LANGUAGE C AS 'MODULE_PATHNAME', 'verify_log';
COMMENT ON FUNCTION privacy_guard_internal.walk_audit_log(text, text) IS 'Checks what is stored of the audit log. Errors: 22023.';

-- A log that cannot be written any more can still be verified, and it names nobody.
CREATE FUNCTION privacy_guard_internal.verify_audit_log(checkpoint text DEFAULT NULL, public_key text DEFAULT NULL)
    RETURNS TABLE (ok boolean, origin text, tree_size bigint, root bytea, first_bad_leaf bigint, finding text, hint text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_is_in_recovery() THEN
        BEGIN
            PERFORM privacy_guard_internal.note_reading('verify_audit_log');
        EXCEPTION WHEN configuration_limit_exceeded THEN
            RAISE WARNING 'the audit log does not take this verification on record'
                USING DETAIL = SQLERRM, HINT = 'Look into the server''s log for what keeps the audit writer.';
        END;
    END IF;
    RETURN QUERY SELECT w.* FROM privacy_guard_internal.walk_audit_log(checkpoint, public_key) w;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.verify_audit_log(text, text) IS
    'Checks every stored record, segment and checkpoint of the audit log: one row that says ok for each origin, or a row for each finding. With a checkpoint that was kept elsewhere also whether the tail was cut off or everything recomputed; public_key (PEM or verifier keys) defaults to the configured key. Errors: 22023, 42501.';
CALL privacy_guard_internal.publish('verify_audit_log', 'auditor');

-- Pruning. What is removed stays proven by a checkpoint that covers it; the tree goes on from audit_prune.

CREATE FUNCTION privacy_guard_internal.require_own_transaction() RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'stored_require_own_transaction';
COMMENT ON FUNCTION privacy_guard_internal.require_own_transaction() IS
    'Refuses to go on in a transaction block. Errors: 25001.';

CREATE FUNCTION privacy_guard_internal.prune_cut(of_origin integer, before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cut bigint;
    last_segment bigint;
BEGIN
    -- The writer goes on from the last segment, so the present log keeps it.
    SELECT max(s.first_leaf) INTO last_segment FROM privacy_guard.audit_segment s
     WHERE s.origin_id = (SELECT max(o.origin_id) FROM privacy_guard.audit_origin o) AND s.origin_id = of_origin;
    SELECT s.first_leaf INTO cut FROM privacy_guard.audit_segment s
     WHERE s.origin_id = of_origin AND s.last_time >= before ORDER BY s.first_leaf LIMIT 1;
    RETURN least(cut, last_segment, (SELECT h.tree_size FROM privacy_guard_internal.log_head(of_origin) h));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.prune_cut(integer, timestamptz) IS
    'How many of an origin''s records lie in segments before the first that holds one not older.';

CREATE FUNCTION privacy_guard_internal.prune_origin(of_origin integer, before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cut bigint := privacy_guard_internal.prune_cut(of_origin, before);
    begins bigint := coalesce((SELECT max(p.tree_size) FROM privacy_guard.audit_prune p WHERE p.origin_id = of_origin), 0);
    kept bytea;
BEGIN
    IF coalesce(cut, 0) <= begins THEN
        RETURN 0;
    END IF;
    SELECT s.frontier INTO kept FROM privacy_guard.audit_segment s
     WHERE s.origin_id = of_origin AND s.first_leaf + s.leaves = cut AND s.first_leaf < cut;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the audit log is damaged at leaf %', cut
            USING ERRCODE = 'data_corrupted', HINT = 'Ask privacy_guard.verify_audit_log() what is wrong.';
    END IF;
    PERFORM privacy_guard_internal.make_checkpoint(of_origin);
    INSERT INTO privacy_guard.audit_prune (origin_id, tree_size, frontier, root, pruned_by)
    VALUES (of_origin, cut, kept, privacy_guard_internal.frontier_root(cut, kept),
            privacy_guard_internal.invoker()::text);
    PERFORM privacy_guard_internal.audit_event('retention', 'Erase', 'audit_log', rows => cut - begins,
        new => json_build_object('origin', of_origin, 'before', before, 'first_leaf', cut)::text);
    RAISE NOTICE 'records % to % of origin % are removed from the audit log', begins, cut - 1, of_origin
        USING HINT = 'The checkpoint made now covers them; the log verifies from there on.';
    RETURN cut - begins;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.prune_origin(integer, timestamptz) IS
    'Moves the beginning of an origin''s log; the segments before it are then to be removed. Errors: 55000, F0000, XX001.';

-- Dropping a partition locks the log against its writer, so it is not waited for long.
CREATE FUNCTION privacy_guard_internal.drop_partition(partition regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
BEGIN
    EXECUTE format('DROP TABLE %s', partition);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.drop_partition(regclass) IS 'Drops a partition of the audit log. Errors: 55P03.';

CREATE FUNCTION privacy_guard_internal.prune_partition(partition regclass, before timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s s WHERE s.first_leaf >= ALL ('
                   'SELECT p.tree_size FROM privacy_guard.audit_prune p WHERE p.origin_id = s.origin_id))', partition)
       INTO kept;
    IF NOT kept AND (SELECT c.relname < 'audit_segment_' || to_char(before AT TIME ZONE 'UTC', 'YYYYMM')
                       FROM pg_class c WHERE c.oid = partition) THEN
        BEGIN
            PERFORM privacy_guard_internal.drop_partition(partition);
            RAISE NOTICE 'partition % is dropped', partition;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            RAISE NOTICE 'partition % is in use and is only emptied', partition
                USING HINT = 'The next prune_audit_log() drops it.';
        END;
    END IF;
    EXECUTE format('DELETE FROM %s s WHERE s.first_leaf < ANY ('
                   'SELECT p.tree_size FROM privacy_guard.audit_prune p WHERE p.origin_id = s.origin_id)', partition);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.prune_partition(regclass, timestamptz) IS
    'Removes from a partition the segments before the beginning of their log, and the partition when it is of a past month and nothing is left.';

CREATE FUNCTION privacy_guard_internal.prune_audit_log(before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    PERFORM privacy_guard_internal.require(before, 'before');
    PERFORM privacy_guard_internal.require_own_transaction();
    IF before > clock_timestamp() THEN
        RAISE EXCEPTION 'prune_audit_log() removes what is past'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass a time that is not in the future.';
    END IF;
    -- The audit writer does not merge segments while this is locked, and adds new ones as ever.
    LOCK TABLE privacy_guard.audit_prune IN SHARE ROW EXCLUSIVE MODE;
    SELECT coalesce(sum(privacy_guard_internal.prune_origin(o.origin_id, before)), 0) INTO removed
      FROM privacy_guard.audit_origin o;
    PERFORM privacy_guard_internal.prune_partition(i.inhrelid, before)
       FROM pg_inherits i WHERE i.inhparent = 'privacy_guard.audit_segment'::regclass
      ORDER BY i.inhrelid::regclass::text;
    IF EXISTS (SELECT FROM privacy_guard.audit_segment s
                WHERE s.first_leaf < ANY (SELECT p.tree_size FROM privacy_guard.audit_prune p
                                           WHERE p.origin_id = s.origin_id)) THEN
        RAISE EXCEPTION 'segments of the audit log were merged meanwhile'
            USING ERRCODE = 'serialization_failure', HINT = 'Nothing was removed. Try again.';
    END IF;
    IF removed = 0 THEN
        RAISE NOTICE 'no whole segment of the audit log is that old';
    END IF;
    RETURN removed;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.prune_audit_log(timestamptz) IS
    'Removes the segments of the audit log whose records are all older, and says how many records they held. A checkpoint is made first, and the log verifies from there on. In a statement of its own. Errors: 22004, 22023, 25001, 40001, 42501, 53400, 55000, F0000, XX001.';
CALL privacy_guard_internal.publish('prune_audit_log', 'auditor');
