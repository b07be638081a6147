-- Legal holds: what may not be erased, whatever its storage duration says. See src/policy/hold.c.

CREATE FUNCTION privacy_guard_internal.may_be_held(relation regclass) RETURNS boolean
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'hold_may_bind';
COMMENT ON FUNCTION privacy_guard_internal.may_be_held(regclass) IS
    'Whether a legal hold may bind rows of a guarded table, partition or child. For those who erase: from now on until the end of the transaction no other hold is placed on them. Honours lock_timeout.';

CREATE FUNCTION privacy_guard_internal.require_unheld(relation regclass, deed text) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'hold_check_sql';
COMMENT ON FUNCTION privacy_guard_internal.require_unheld(regclass, text) IS
    'Refuses where may_be_held(). Errors: 42501.';

CREATE FUNCTION privacy_guard_internal.hold_lock_tables(category_id integer, relation oid) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'hold_lock_tables';
COMMENT ON FUNCTION privacy_guard_internal.hold_lock_tables(integer, oid) IS
    'Before a hold is placed: waits for the erasures under way that it would have to stop, and keeps others waiting. Honours lock_timeout.';

CREATE FUNCTION privacy_guard_internal.require_same_category(relation regclass, category privacy_guard.subject_category)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    guarded privacy_guard.guarded_table := privacy_guard_internal.require_guarded(relation);
BEGIN
    IF guarded.category_id <> category.category_id THEN
        RAISE EXCEPTION 'the rows of table % are not about data subjects of category "%"', relation, category.name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'privacy_guard.guarded_tables shows the subject_category of each table.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_same_category(regclass, privacy_guard.subject_category) IS
    'Refuses a table of another category. Errors: 22023, 55000.';

CREATE FUNCTION privacy_guard_internal.place_hold(matter text, subject text DEFAULT NULL, relation regclass DEFAULT NULL,
    subject_category text DEFAULT 'customer', reason text DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category privacy_guard.subject_category;
    state privacy_guard.subject_state;
BEGIN
    IF coalesce(btrim(matter), '') = '' OR num_nonnulls(subject, relation) = 0 THEN
        RAISE EXCEPTION 'a legal hold needs a matter, and a subject, a relation, or both'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'The matter is what release_hold() asks for, such as the number of a case.';
    END IF;
    IF relation IS NOT NULL THEN
        PERFORM privacy_guard_internal.require_guarded(relation);
    END IF;
    -- The row of the subject before the locks of the tables, as whoever erases a subject does it.
    IF subject IS NOT NULL THEN
        category := privacy_guard_internal.require_category(subject_category);
        IF relation IS NOT NULL THEN
            PERFORM privacy_guard_internal.require_same_category(relation, category);
        END IF;
        state := privacy_guard_internal.lock_subject(subject, subject_category, expected => true);
    END IF;
    -- No table of the category is protected meanwhile.
    LOCK TABLE privacy_guard.guarded_table IN SHARE MODE;
    PERFORM privacy_guard_internal.hold_lock_tables(state.category_id, relation);
    INSERT INTO privacy_guard.hold (matter, category_id, subject, relation, reason, placed_by)
    VALUES (matter, state.category_id, state.subject, relation, reason, privacy_guard_internal.invoker()::text)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE NOTICE 'this legal hold was placed before' USING HINT = 'privacy_guard.holds lists the legal holds.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.place_hold(text, text, regclass, text, text) IS
    'Places a legal hold: from its commit on nobody erases these rows, by whatever statement: those of a data subject, those of a guarded table, or those of a subject in a table. Ends with release_hold(matter). Waits for deletions that are under way, honours lock_timeout. Errors: 22004, 22023, 22P02, 42704, 55000, 55P03. GDPR Art. 17(3)(e).';
CALL privacy_guard_internal.publish('place_hold', 'steward');

CREATE FUNCTION privacy_guard_internal.release_hold(matter text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require(matter, 'matter');
    DELETE FROM privacy_guard.hold h WHERE h.matter = release_hold.matter;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no legal hold of that matter'
            USING ERRCODE = 'undefined_object', HINT = 'privacy_guard.holds lists the legal holds.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.release_hold(text) IS
    'Ends all legal holds of a matter. What another matter holds stays held. Errors: 22004, 42704.';
CALL privacy_guard_internal.publish('release_hold', 'steward');

CREATE VIEW privacy_guard.holds AS
    SELECT h.matter, CASE WHEN pg_has_role('privacy_guard_steward', 'MEMBER') THEN s.key END AS subject,
           c.name AS subject_category, h.relation AS table_name, h.reason, h.placed_by, h.placed_at,
           h.subject AS pii_principal_id
      FROM privacy_guard.hold h LEFT JOIN privacy_guard.subject_state s USING (subject)
      LEFT JOIN privacy_guard.subject_category c ON c.category_id = h.category_id;
COMMENT ON VIEW privacy_guard.holds IS
    'Legal holds in force. Without subject they are on the whole table, without table_name on the subject everywhere. For stewards and auditors; keys of data subjects for stewards only.';
GRANT SELECT ON privacy_guard.holds TO privacy_guard_steward, privacy_guard_auditor;
