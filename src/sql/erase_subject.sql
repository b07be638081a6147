-- The right to be forgotten (GDPR Art. 17): everything about one person in one call, and what keeps him from coming back.

-- ---- what is left of a person ----

CREATE FUNCTION privacy_guard_internal.withdraw_everything(number bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state privacy_guard.subject_state;
    decision record;
    entry privacy_guard.consent_record;
    withdrawn bigint;
BEGIN
    SELECT count(*) INTO withdrawn FROM privacy_guard.subject_state s CROSS JOIN privacy_guard.decisions(s.consent) d
     WHERE s.subject = number AND d.status IN ('given', 'renewed', 'requested', 'request_deferred');
    LOOP
        SELECT * INTO state FROM privacy_guard.subject_state s WHERE s.subject = number;
        -- The widest first: it withdraws those below it.
        SELECT d.* INTO decision FROM privacy_guard.decisions(state.consent) d
         WHERE d.status IN ('given', 'renewed', 'requested', 'request_deferred')
         ORDER BY length(d.purpose), d.channel IS NOT NULL, d.recipient IS NOT NULL, d.purpose, d.channel, d.recipient LIMIT 1;
        EXIT WHEN NOT FOUND;
        entry := NULL;
        entry.event_state := 'withdrawn';
        entry.consent_type := decision.consent_type;
        entry.event_time := greatest(clock_timestamp(), decision.event_time);
        entry.purpose := decision.purpose;
        entry.purpose_version := decision.version;
        entry.valid_until := 'infinity';
        entry.channel := decision.channel;
        entry.recipient := decision.recipient;
        entry.collection_method := 'erasure';
        PERFORM privacy_guard_internal.apply_record(state, entry, NULL);
    END LOOP;
    RETURN withdrawn;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.withdraw_everything(bigint) IS
    'Withdraws every consent of a data subject, by number, and says how many they were.';

CREATE FUNCTION privacy_guard_internal.forget_subject(
    state privacy_guard.subject_state, proof_until timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    aliases bigint[] := ARRAY(
        SELECT a.subject FROM privacy_guard.subject_alias a
         WHERE a.category_id = state.category_id AND a.key = state.key AND a.subject <> state.subject);
BEGIN
    DELETE FROM privacy_guard.consent_evidence e USING privacy_guard.consent_record r
     WHERE r.record_id = e.record_id AND r.pii_principal_id = state.subject;
    DELETE FROM privacy_guard.consent_confirmation c USING privacy_guard.consent_record r
     WHERE r.record_id = c.record_id AND r.pii_principal_id = state.subject;
    DELETE FROM privacy_guard.restriction r WHERE r.subject = state.subject;
    UPDATE privacy_guard.subject_event e SET reason = NULL WHERE e.subject = state.subject AND e.reason IS NOT NULL;
    DELETE FROM privacy_guard.subject_alias a WHERE a.category_id = state.category_id AND a.key = state.key;
    -- The bases before the state, through which every session hears of their end.
    DELETE FROM privacy_guard.subject_basis b WHERE b.subject = state.subject;
    DELETE FROM privacy_guard.unneeded_since u WHERE u.subject = state.subject;
    DELETE FROM privacy_guard.subject_state s WHERE s.subject = state.subject;
    IF NOT EXISTS (SELECT FROM privacy_guard.suppression s WHERE s.category_id = state.category_id) THEN
        INSERT INTO privacy_guard.suppression (category_id, secret_id)
            VALUES (state.category_id, privacy_guard_internal.secret_id())
            ON CONFLICT DO NOTHING;
    END IF;
    INSERT INTO privacy_guard.suppressed_subject AS s (subject, category_id, key_hmac, aliases, proof_until)
        VALUES (state.subject, state.category_id,
                privacy_guard_internal.subject_digest(state.category_id, state.key), aliases, forget_subject.proof_until)
        ON CONFLICT (subject) DO UPDATE SET proof_until = greatest(s.proof_until, excluded.proof_until),
                                            aliases = s.aliases || excluded.aliases;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.forget_subject(privacy_guard.subject_state, timestamptz) IS
    'Removes what the extension itself knows of a data subject but the ledger, and puts the keyed hash in place of his key.';

CREATE FUNCTION privacy_guard_internal.restrict_kept(state privacy_guard.subject_state) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Of a person who was erased before, rows have come back that must be kept: so must the number.
    IF NOT EXISTS (SELECT FROM privacy_guard.subject_state s WHERE s.subject = state.subject) THEN
        INSERT INTO privacy_guard.subject_state (subject, category_id, key, key_int)
            VALUES (state.subject, state.category_id, state.key, state.key_int);
        DELETE FROM privacy_guard.suppressed_subject s WHERE s.subject = state.subject;
    END IF;
    UPDATE privacy_guard.subject_state s SET restricted = true WHERE s.subject = state.subject;
    INSERT INTO privacy_guard.restriction (subject, reason) VALUES (state.subject, 'erasure kept back')
        ON CONFLICT ON CONSTRAINT restriction_pkey DO NOTHING;
    IF FOUND THEN
        PERFORM privacy_guard_internal.write_event(state.subject, 'restricted', reason => 'erasure kept back');
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.restrict_kept(privacy_guard.subject_state) IS
    'Restricts the processing of what an erasure had to leave (GDPR Art. 18).';

-- ---- what remains physically ----

CREATE FUNCTION privacy_guard_internal.remains_in_tables(relation regclass)
    RETURNS TABLE (what text, name text, amount bigint, since timestamptz, ended_by text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH member AS (
        SELECT DISTINCT f AS oid FROM privacy_guard.guarded_table g CROSS JOIN privacy_guard_internal.family(g.relation) f
         WHERE remains_in_tables.relation IS NULL OR g.relation = privacy_guard_internal.guarded_root(remains_in_tables.relation))
    SELECT 'dead rows', m.oid::text, s.n_dead_tup, greatest(s.last_vacuum, s.last_autovacuum), format('VACUUM %s', m.oid)
      FROM member m JOIN pg_stat_all_tables s ON s.relid = m.oid WHERE s.n_dead_tup > 0
    UNION ALL
    SELECT 'planner statistics', m.oid::text, count(*), greatest(t.last_analyze, t.last_autoanalyze), format('ANALYZE %s', m.oid)
      FROM member m JOIN pg_statistic s ON s.starelid = m.oid JOIN pg_stat_all_tables t ON t.relid = m.oid
     GROUP BY m.oid, t.last_analyze, t.last_autoanalyze $$;
COMMENT ON FUNCTION privacy_guard_internal.remains_in_tables(regclass) IS 'The rows of physical_remains() about guarded tables.';

CREATE FUNCTION privacy_guard_internal.remains_in_cluster()
    RETURNS TABLE (what text, name text, amount bigint, since timestamptz, ended_by text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'oldest snapshot', 'process ' || a.pid, age(a.backend_xmin)::bigint, a.xact_start,
           'the end of that transaction; until then VACUUM removes nothing younger'
      FROM (SELECT * FROM pg_stat_activity a WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()
             ORDER BY age(a.backend_xmin) DESC LIMIT 1) a
    UNION ALL
    SELECT 'replication slot', s.slot_name::text, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
                                                      s.restart_lsn)::bigint, NULL,
           'its consumer catching up, or pg_drop_replication_slot()' FROM pg_replication_slots s
    UNION ALL
    SELECT 'prepared transactions', NULL, count(*), min(p.prepared), 'COMMIT PREPARED or ROLLBACK PREPARED'
      FROM pg_prepared_xacts p HAVING count(*) > 0
    UNION ALL
    SELECT 'standbys', NULL, count(*), min(r.backend_start), 'replay, and the same VACUUM there by replay'
      FROM pg_stat_replication r HAVING count(*) > 0
    UNION ALL
    SELECT 'write-ahead log', 'bytes', sum(w.size)::bigint, min(w.modification),
           'checkpoints; a recycled file keeps its old contents until it is written again' FROM pg_ls_waldir() w
    UNION ALL
    SELECT 'archived write-ahead log', NULL, a.archived_count, a.stats_reset, 'the storage duration of the archive'
      FROM pg_stat_archiver a WHERE current_setting('archive_mode') <> 'off'
    UNION ALL
    SELECT 'server log', current_setting('log_statement'), NULL, NULL,
           'the rotation of the log; statements with keys as literals are in it where they are logged or failed'
    UNION ALL
    SELECT 'backups and dumps', NULL, NULL, NULL,
           'their own storage duration; after a restore privacy_guard.erasure of the newer database says whom to erase again' $$;
COMMENT ON FUNCTION privacy_guard_internal.remains_in_cluster() IS 'The rows of physical_remains() about the server.';

CREATE FUNCTION privacy_guard_internal.physical_remains(relation regclass DEFAULT NULL)
    RETURNS TABLE (what text, name text, amount bigint, since timestamptz, ended_by text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require_reader();
    IF relation IS NOT NULL THEN
        PERFORM privacy_guard_internal.require_guarded(coalesce(privacy_guard_internal.guarded_root(relation), relation));
    END IF;
    RETURN QUERY SELECT * FROM privacy_guard_internal.remains_in_tables(relation);
    RETURN QUERY SELECT * FROM privacy_guard_internal.remains_in_cluster();
END $$;
COMMENT ON FUNCTION privacy_guard_internal.physical_remains(regclass) IS
    'Where erased rows may still lie on disk or be seen, how much that is (dead rows, transactions behind, bytes, files), since when, and what ends it. relation: only that guarded table''s, and the server''s. For stewards and auditors. Errors: 42501, 42P01, 55000.';
CALL privacy_guard_internal.publish('physical_remains', 'anyone');

CREATE FUNCTION privacy_guard_internal.physical_summary() RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_object_agg(p.what, p.summary)
      FROM (SELECT r.what, jsonb_strip_nulls(jsonb_build_object('amount', CASE WHEN count(*) > 1 AND r.what = 'replication slot'
                       THEN max(r.amount) ELSE sum(r.amount) END, 'since', min(r.since), 'ended_by', max(r.ended_by))) AS summary
              FROM privacy_guard_internal.remains_in_cluster() r GROUP BY r.what
            UNION ALL
            SELECT 'dead rows', '{"ended_by": "VACUUM of each table; autovacuum does it in time"}') p $$;
COMMENT ON FUNCTION privacy_guard_internal.physical_summary() IS 'What physical_remains() says of the server, as one value.';

-- ---- the erasure ----

CREATE FUNCTION privacy_guard_internal.require_reason(reason text, verb text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require(reason, 'reason');
    IF btrim(reason) = '' THEN
        RAISE EXCEPTION '%() needs a reason', verb
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why, for those who read the record; do not name the person.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_reason(text, text) IS 'Errors: 22004, 22023.';

CREATE FUNCTION privacy_guard_internal.require_read_committed() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'erase_subject() needs a transaction that is READ COMMITTED'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Under an older snapshot it would miss rows that others have added since.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_read_committed() IS 'Errors: 55000.';

CREATE FUNCTION privacy_guard_internal.require_erasable(state privacy_guard.subject_state) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM privacy_guard.restriction r
                WHERE r.subject = state.subject AND r.reason <> 'erasure kept back') THEN
        RAISE EXCEPTION 'the processing of this data subject''s data is restricted'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'A restriction (GDPR Art. 18) stops erasure, too. End it first with privacy_guard.lift_restriction().';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_erasable(privacy_guard.subject_state) IS
    'Refuses to erase who is restricted for another reason than an erasure that was kept back. Errors: 55000.';

CREATE FUNCTION privacy_guard_internal.carry_out(
    erasure privacy_guard.erasure, state privacy_guard.subject_state, category privacy_guard.subject_category, known boolean)
    RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relations regclass[] := privacy_guard_internal.tables_of_category(category.category_id);
    withdrawn bigint := privacy_guard_internal.withdraw_everything(state.subject);
    proof_until timestamptz := clock_timestamp() + erasure.proof_period;
    outcome jsonb;
    rows bigint;
    kept boolean;
BEGIN
    -- For triggers of the tables: as restricted the rest would be hidden from them. Nobody else sees this.
    UPDATE privacy_guard.subject_state s SET restricted = false WHERE s.subject = state.subject AND s.restricted;
    PERFORM privacy_guard_internal.await_writers(relations);
    PERFORM privacy_guard_internal.make_constraints_immediate();
    outcome := jsonb_build_object('erasure', erasure.erasure_id,
        'tables', privacy_guard_internal.erase_subject_rows(state, category, relations));
    SELECT coalesce(sum((t ->> 'deleted')::bigint + (t ->> 'anonymised')::bigint + (t ->> 'severed')::bigint), 0),
           coalesce(bool_or((k.n)::bigint > 0), false) INTO rows, kept
      FROM jsonb_array_elements(outcome -> 'tables') t
      LEFT JOIN LATERAL (SELECT sum(v::bigint) AS n FROM jsonb_each_text(t -> 'kept') AS c (cause, v)) k ON true;
    -- A hold on the person keeps what is known of him, too, even where no row is left.
    kept := kept OR privacy_guard_internal.is_held(state.subject, NULL);
    IF kept THEN
        PERFORM privacy_guard_internal.restrict_kept(state);
    ELSIF NOT known AND rows = 0 THEN
        -- A mistyped key must not bar somebody who will get it one day.
        DELETE FROM privacy_guard.subject_state s WHERE s.subject = state.subject;
        proof_until := NULL;
    ELSE
        PERFORM privacy_guard_internal.forget_subject(state, proof_until);
    END IF;
    outcome := outcome || jsonb_build_object('status', CASE WHEN kept THEN 'kept' ELSE 'erased' END,
        'consents_withdrawn', withdrawn, 'restricted', kept, 'proof_until', CASE WHEN NOT kept THEN proof_until END);
    INSERT INTO privacy_guard.erasure AS e SELECT (carry_out.erasure).*
        ON CONFLICT (erasure_id) DO NOTHING;
    UPDATE privacy_guard.erasure e
       SET status = CASE WHEN kept THEN 'kept' ELSE 'erased' END, attempts = e.attempts + 1, last_error = NULL,
           next_attempt = CASE WHEN kept THEN clock_timestamp() + interval '1 day' END,
           finished_at = CASE WHEN NOT kept THEN clock_timestamp() END, result = outcome
     WHERE e.erasure_id = erasure.erasure_id;
    PERFORM privacy_guard_internal.audit_event('retention', 'Erase', erasure.erasure_id::text, reason => 'data subject''s request',
        new => outcome::text, subjects => privacy_guard.subject_set(state.subject), rows => rows);
    RETURN outcome;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.carry_out(
    privacy_guard.erasure, privacy_guard.subject_state, privacy_guard.subject_category, boolean) IS
    'Erases a data subject as far as nothing keeps him, with one receipt. known: he was on record before. The caller has begun the erasure and locked the state.';

CREATE FUNCTION privacy_guard_internal.erase_subject(
    subject text, reason text, subject_category text DEFAULT 'customer', proof_period interval DEFAULT '3 years')
    RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    category privacy_guard.subject_category := privacy_guard_internal.require_category(subject_category);
    canonical text := privacy_guard_internal.canonical_key(subject, category);
    state privacy_guard.subject_state;
    erasure privacy_guard.erasure;
    known boolean;
BEGIN
    PERFORM privacy_guard_internal.require_reason(reason, 'erase_subject');
    PERFORM privacy_guard_internal.require(proof_period, 'proof_period');
    IF proof_period < interval '0' OR proof_period > interval '100 years' THEN
        RAISE EXCEPTION 'proof_period must be between nothing and 100 years'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is for how long you must be able to prove the consents and the erasure.';
    END IF;
    IF NOT privacy_guard_internal.has_identity() THEN
        RAISE EXCEPTION 'the guards are not in force in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'After a restore call privacy_guard.finish_restore() first.';
    END IF;
    PERFORM privacy_guard_internal.require_read_committed();
    -- Imports of the category wait; and without the secret nothing begins.
    PERFORM FROM privacy_guard.subject_category c WHERE c.category_id = category.category_id FOR SHARE;
    PERFORM privacy_guard_internal.subject_digest(category.category_id, canonical);
    PERFORM privacy_guard_internal.begin_erasing(category.category_id, canonical);
    known := EXISTS (SELECT FROM privacy_guard_internal.stored_subject(category, canonical));
    state := privacy_guard_internal.lock_subject(subject, subject_category, true);
    known := known OR state.key IS NULL;
    PERFORM privacy_guard_internal.require_erasable(state);
    state.key := canonical;
    state.key_int := CASE WHEN category.key_type = 'bigint'::regtype THEN canonical::bigint END;
    SELECT * INTO erasure FROM privacy_guard.erasure e WHERE e.subject = state.subject AND e.status = 'kept' FOR UPDATE;
    IF NOT FOUND THEN
        erasure := ROW(privacy_guard_internal.record_id(), state.subject, category.category_id, 'kept', reason, proof_period,
                       privacy_guard_internal.invoker()::text, clock_timestamp(), 0, NULL, NULL, NULL, NULL);
    END IF;
    PERFORM privacy_guard_internal.wake_eraser();
    RETURN privacy_guard_internal.carry_out(erasure, state, category, known)
        || jsonb_build_object('physical', privacy_guard_internal.physical_summary());
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erase_subject(text, text, text, interval) IS
    'Erases a data subject (GDPR Art. 17) in every guarded table of the category (also those that are only monitored), in one transaction: his rows are deleted, or anonymised where the table''s storage duration ends so; rows shared with other data subjects lose only his columns. His consents are withdrawn; the ledger stays as proof under his number, and a keyed hash takes the place of his key until proof_period ends, so that he cannot be taken up again by accident. What a legal obligation, a hold, another person''s restriction or a foreign key keeps is reported by table and cause, its processing is restricted, and it is tried again. subject: the CRM''s own id as text; pass it as a parameter where statements are logged. reason: kept with the erasure, not in the audit log. Returns erasure, status (erased or kept), tables, consents_withdrawn, restricted, proof_until, physical. Waits for transactions that write into these tables. An unknown subject is a NOTICE, and is not suppressed where no row of his is found. Errors: 22004, 22023, 22P02, 42501, 42704, 55000, F0000.';
CALL privacy_guard_internal.publish('erase_subject', 'steward');

-- ---- afterwards ----

CREATE FUNCTION privacy_guard_internal.retry_erasure(erasure privacy_guard.erasure) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    category privacy_guard.subject_category;
    state privacy_guard.subject_state;
BEGIN
    PERFORM privacy_guard_internal.require_read_committed();
    SELECT * INTO STRICT category FROM privacy_guard.subject_category c WHERE c.category_id = erasure.category_id FOR SHARE;
    SELECT * INTO STRICT state FROM privacy_guard.subject_state s WHERE s.subject = erasure.subject;
    PERFORM privacy_guard_internal.subject_digest(category.category_id, state.key);
    PERFORM privacy_guard_internal.begin_erasing(category.category_id, state.key);
    SELECT * INTO STRICT state FROM privacy_guard.subject_state s WHERE s.subject = erasure.subject FOR UPDATE;
    PERFORM privacy_guard_internal.require_erasable(state);
    PERFORM privacy_guard_internal.carry_out(erasure, state, category, known => true);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.retry_erasure(privacy_guard.erasure) IS
    'Erases what is no longer kept.';

CREATE FUNCTION privacy_guard_internal.due_erasure() RETURNS privacy_guard.erasure
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.* FROM privacy_guard.erasure e
     WHERE e.status = 'kept' AND e.next_attempt <= clock_timestamp()
     ORDER BY e.next_attempt LIMIT 1 FOR UPDATE SKIP LOCKED $$;
COMMENT ON FUNCTION privacy_guard_internal.due_erasure() IS 'The next erasure that was kept back and is to be tried again, locked; null when none is.';

CREATE FUNCTION privacy_guard_internal.put_off_erasure(erasure privacy_guard.erasure, state text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE privacy_guard.erasure e
       SET attempts = e.attempts + 1, last_error = state,
           next_attempt = clock_timestamp() + least(interval '1 day', interval '1 minute' * 2 ^ least(e.attempts, 12))
     WHERE e.erasure_id = (put_off_erasure.erasure).erasure_id $$;
COMMENT ON FUNCTION privacy_guard_internal.put_off_erasure(privacy_guard.erasure, text) IS
    'Notes with which SQLSTATE an attempt failed; the next one comes later each time, at most after a day.';

-- One at a time, for each locks its tables' rows; a failure must not stand in the way of the others.
CREATE FUNCTION privacy_guard_internal.retry_next_erasure() RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    erasure privacy_guard.erasure := privacy_guard_internal.due_erasure();
BEGIN
    IF erasure.erasure_id IS NULL THEN
        RETURN false;
    END IF;
    PERFORM privacy_guard_internal.retry_erasure(erasure);
    RETURN true;
EXCEPTION WHEN OTHERS THEN
    PERFORM privacy_guard_internal.put_off_erasure(erasure, SQLSTATE);
    RETURN true;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.retry_next_erasure() IS
    'Tries the next erasure again that was kept back and is due; false when none is. What fails is put off, with its SQLSTATE.';

CREATE FUNCTION privacy_guard_internal.erasures_at() RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT min(e.next_attempt) FROM privacy_guard.erasure e WHERE e.status = 'kept' $$;
COMMENT ON FUNCTION privacy_guard_internal.erasures_at() IS 'When retry_next_erasure() has something to do; null for never.';

CREATE FUNCTION privacy_guard_internal.proofs_end_at() RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT min(s.proof_until) FROM privacy_guard.suppressed_subject s $$;
COMMENT ON FUNCTION privacy_guard_internal.proofs_end_at() IS 'When end_proofs() has something to do; null for never.';

-- What kept rows back may have gone: the next attempt comes at once.
CREATE FUNCTION privacy_guard_internal.erasures_may_go_on() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE privacy_guard.erasure e SET next_attempt = clock_timestamp()
     WHERE e.status = 'kept' AND e.next_attempt > clock_timestamp();
    RETURN NULL;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.erasures_may_go_on() IS
    'Trigger: makes the erasures that were kept back due, because a hold or a storage duration has gone.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['hold', 'retention'] LOOP
        EXECUTE format('CREATE TRIGGER erasures AFTER UPDATE OR DELETE ON privacy_guard.%I
                            FOR EACH STATEMENT EXECUTE FUNCTION privacy_guard_internal.erasures_may_go_on()', name);
    END LOOP;
END $$;

CREATE FUNCTION privacy_guard_internal.end_suppressions() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended integer;
BEGIN
    FOR ended IN SELECT s.category_id FROM privacy_guard.suppression s WHERE NOT EXISTS (
        SELECT FROM privacy_guard.suppressed_subject p WHERE p.category_id = s.category_id)
    LOOP
        -- An erasure that is under way will need it; what it will leave is not seen yet.
        PERFORM FROM privacy_guard.subject_category c WHERE c.category_id = ended FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND AND NOT EXISTS (SELECT FROM privacy_guard.suppressed_subject p WHERE p.category_id = ended) THEN
            DELETE FROM privacy_guard.suppression s WHERE s.category_id = ended;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.end_suppressions() IS
    'Spares new rows the look for erased data subjects where a category has none any more.';

CREATE FUNCTION privacy_guard_internal.end_proofs(batch bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended bigint[];
BEGIN
    -- The audit writer may have given an alias to a key whose state was not committed yet.
    DELETE FROM privacy_guard.subject_alias a USING privacy_guard.suppressed_subject s WHERE a.subject = s.subject;
    WITH over AS (
        SELECT s.subject FROM privacy_guard.suppressed_subject s WHERE s.proof_until <= clock_timestamp()
         ORDER BY s.proof_until LIMIT batch FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM privacy_guard.suppressed_subject s USING over WHERE s.subject = over.subject RETURNING s.subject)
    SELECT array_agg(g.subject) INTO ended FROM gone g;
    IF ended IS NOT NULL THEN
        DELETE FROM privacy_guard.erasure e WHERE e.subject = ANY (ended);
        UPDATE privacy_guard.consent_record r SET given_by = NULL
         WHERE r.pii_principal_id = ANY (ended) AND r.given_by IS NOT NULL;
        UPDATE privacy_guard.subject_event e SET reason = NULL WHERE e.subject = ANY (ended) AND e.reason IS NOT NULL;
        PERFORM privacy_guard_internal.end_suppressions();
        PERFORM privacy_guard_internal.audit_event('retention', 'Erase', reason => 'proof period ended',
            subjects => (SELECT privacy_guard.subject_set_agg(n) FROM unnest(ended) n), rows => cardinality(ended));
    END IF;
    RETURN coalesce(cardinality(ended), 0);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.end_proofs(bigint) IS
    'Removes the keyed hashes whose proof period has ended, at most so many, and says how many. After that nothing leads from a person to the records.';

CREATE FUNCTION privacy_guard_internal.readmit_subject(subject text, reason text, subject_category text DEFAULT 'customer')
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category privacy_guard.subject_category := privacy_guard_internal.require_category(subject_category);
    canonical text := privacy_guard_internal.canonical_key(subject, category);
    number bigint;
BEGIN
    PERFORM privacy_guard_internal.require_reason(reason, 'readmit_subject');
    number := privacy_guard_internal.suppressed_number(category.category_id, canonical);
    IF number IS NULL THEN
        RAISE EXCEPTION 'no such data subject of category "%" was erased', category.name
            USING ERRCODE = 'undefined_object', HINT = 'Check the key; or the proof period has ended, and nothing needs to be done.';
    END IF;
    UPDATE privacy_guard.suppressed_subject s SET readmitted_at = clock_timestamp()
     WHERE s.subject = number AND s.readmitted_at IS NULL;
    PERFORM privacy_guard_internal.audit_event('consent', 'readmitted', reason => reason,
        subjects => privacy_guard.subject_set(number));
END $$;
COMMENT ON FUNCTION privacy_guard_internal.readmit_subject(text, text, text) IS
    'Lets a person who was erased come back, as somebody new: under another number, with no decisions. What proves the past stays until its end. The inverse of what erase_subject() does to the future. Errors: 22004, 22023, 22P02, 42501, 42704, F0000.';
CALL privacy_guard_internal.publish('readmit_subject', 'steward');

CREATE FUNCTION privacy_guard_internal.end_suppression(reason text, subject_category text DEFAULT 'customer')
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category privacy_guard.subject_category := privacy_guard_internal.require_category(subject_category);
    ended privacy_guard.subject_set;
BEGIN
    PERFORM privacy_guard_internal.require_reason(reason, 'end_suppression');
    PERFORM FROM privacy_guard.subject_category c WHERE c.category_id = category.category_id FOR NO KEY UPDATE;
    DELETE FROM privacy_guard.suppression s WHERE s.category_id = category.category_id;
    SELECT privacy_guard.subject_set_agg(s.subject) INTO ended FROM privacy_guard.suppressed_subject s
     WHERE s.category_id = category.category_id;
    DELETE FROM privacy_guard.suppressed_subject s WHERE s.category_id = category.category_id;
    IF NOT FOUND THEN
        RAISE NOTICE 'no data subject of category "%" is suppressed', category.name;
    END IF;
    PERFORM privacy_guard_internal.audit_event('consent', 'suppression_ended', category.name, reason => reason, subjects => ended);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.end_suppression(text, text) IS
    'Removes the keyed hashes of all erased data subjects of a category, and with them every proof of who they were: they could come back. For when the secret is lost, without which new data subjects are refused. Errors: 22004, 22023, 42501, 42704.';
CALL privacy_guard_internal.publish('end_suppression', 'steward');

GRANT SELECT ON privacy_guard.erasure, privacy_guard.suppressed_subject TO privacy_guard_steward, privacy_guard_auditor;
