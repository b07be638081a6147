-- Data subjects: their keys, their numbers, and what every decision about them goes through.

CREATE FUNCTION privacy_guard_internal.record_id() RETURNS uuid
    LANGUAGE C VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'verb_record_id';
COMMENT ON FUNCTION privacy_guard_internal.record_id() IS
    'A new UUID of version 7 (RFC 9562), ascending with time.';

CREATE FUNCTION privacy_guard_internal.canonical_key(subject text, category privacy_guard.subject_category)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fits boolean;
BEGIN
    PERFORM privacy_guard_internal.require(subject, 'subject');
    fits := CASE category.key_type
        WHEN 'bigint'::regtype THEN CASE
            WHEN subject ~ '^\s*[+-]?[0-9]{1,40}\s*$'
                THEN subject::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 END
        WHEN 'uuid'::regtype THEN subject ~* '^(([0-9a-f]{4}-?){7}[0-9a-f]{4}|\{([0-9a-f]{4}-?){7}[0-9a-f]{4}\})$'
        ELSE octet_length(subject) BETWEEN 1 AND 1024 END;
    IF fits IS NOT TRUE THEN
        RAISE EXCEPTION 'invalid key of a data subject of category "%"', category.name
            USING ERRCODE = 'invalid_text_representation',
                  HINT = CASE category.key_type
                      WHEN 'bigint'::regtype THEN 'The keys of this category are integers.'
                      WHEN 'uuid'::regtype THEN 'The keys of this category are UUIDs.'
                      ELSE 'A key has 1 to 1024 bytes.' END;
    END IF;
    RETURN CASE category.key_type
        WHEN 'bigint'::regtype THEN subject::bigint::text
        WHEN 'uuid'::regtype THEN subject::uuid::text
        ELSE subject END;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.canonical_key(text, privacy_guard.subject_category) IS
    'The one text form of a key, as its type prints it. Errors: 22004, 22P02 (never with the value).';

-- Keys are looked up in one of two indexes: integers by key_int, the others by key.
CREATE FUNCTION privacy_guard_internal.stored_subject(category privacy_guard.subject_category, canonical text)
    RETURNS SETOF privacy_guard.subject_state
    LANGUAGE plpgsql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF category.key_type = 'bigint'::regtype THEN
        RETURN QUERY SELECT * FROM privacy_guard.subject_state s
                      WHERE s.category_id = category.category_id AND s.key_int = canonical::bigint;
    ELSE
        RETURN QUERY SELECT * FROM privacy_guard.subject_state s
                      WHERE s.category_id = category.category_id AND s.key = canonical AND s.key_int IS NULL;
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.stored_subject(privacy_guard.subject_category, text) IS
    'The state of the subject with a canonical key; no row where none is on record.';

CREATE FUNCTION privacy_guard_internal.find_subject(subject text, subject_category text)
    RETURNS privacy_guard.subject_state
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category privacy_guard.subject_category := privacy_guard_internal.require_category(subject_category);
    state privacy_guard.subject_state;
BEGIN
    SELECT * INTO state FROM privacy_guard_internal.stored_subject(category,
        privacy_guard_internal.canonical_key(subject, category));
    RETURN state;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.find_subject(text, text) IS
    'The current state of a data subject, all null where none is on record. Errors: 22004, 22P02, 42704.';

-- In place of a foreign key of subject_state.
CREATE FUNCTION privacy_guard_internal.hold_category(category_id integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM privacy_guard.subject_category c WHERE c.category_id = hold_category.category_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the subject category was dropped meanwhile'
            USING ERRCODE = 'undefined_object', HINT = 'Make it again with privacy_guard.create_subject_category().';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.hold_category(integer) IS
    'Keeps a category from being dropped until the end of the transaction. Errors: 42704.';

-- Erased subjects: only a keyed hash of their key is left, see src/policy/suppression.c.

CREATE FUNCTION privacy_guard_internal.suppressed_number(category_id integer, canonical text) RETURNS bigint
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'suppression_subject_number';
COMMENT ON FUNCTION privacy_guard_internal.suppressed_number(integer, text) IS
    'The number in records of the erased data subject with a canonical key, as committed now; null where none was erased, or he may come back. Errors: F0000 without the secret.';

CREATE FUNCTION privacy_guard_internal.subject_digest(category_id integer, canonical text) RETURNS bytea
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'suppression_subject_digest';
COMMENT ON FUNCTION privacy_guard_internal.subject_digest(integer, text) IS
    'The keyed hash of a canonical key, as suppressed_subject.key_hmac holds it. Errors: F0000 without the secret.';

CREATE FUNCTION privacy_guard_internal.secret_id() RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'suppression_secret_id';
COMMENT ON FUNCTION privacy_guard_internal.secret_id() IS
    'Tells one secret from another. Makes the secret where nothing was hashed yet. Errors: F0000 without the secret.';

CREATE FUNCTION privacy_guard_internal.suppressed_state(category privacy_guard.subject_category, canonical text)
    RETURNS privacy_guard.subject_state
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state privacy_guard.subject_state;
    number bigint := privacy_guard_internal.suppressed_number(category.category_id, canonical);
BEGIN
    IF number IS NOT NULL THEN
        state.subject := number;
        state.category_id := category.category_id;
        state.consent := '{}';
        state.objections := '{}';
        state.restricted := false;
    END IF;
    RETURN state;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.suppressed_state(privacy_guard.subject_category, text) IS
    'Of an erased subject an empty state with his number and without a key; all null for others.';

CREATE FUNCTION privacy_guard_internal.is_erased(subject text, subject_category text) RETURNS boolean
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT privacy_guard_internal.suppressed_number(c.category_id,
               privacy_guard_internal.canonical_key(subject, c)) IS NOT NULL
      FROM privacy_guard_internal.require_category(subject_category) c $$;
COMMENT ON FUNCTION privacy_guard_internal.is_erased(text, text) IS
    'Whether a data subject was erased and must not come back. Errors: 22004, 22P02, 42704, F0000.';

CREATE FUNCTION privacy_guard_internal.refuse_erased(state privacy_guard.subject_state) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF state.subject IS NOT NULL AND state.key IS NULL THEN
        RAISE EXCEPTION 'this data subject was erased'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Withdrawals and objections are still recorded. If the person came back, a data steward can allow it with privacy_guard.readmit_subject().';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.refuse_erased(privacy_guard.subject_state) IS
    'Refuses what would take up an erased data subject again. Errors: 55000.';

-- The row lock makes decisions about one subject wait for each other.
CREATE FUNCTION privacy_guard_internal.lock_subject(subject text, subject_category text, expected boolean)
    RETURNS privacy_guard.subject_state
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    category privacy_guard.subject_category := privacy_guard_internal.require_category(subject_category);
    canonical text := privacy_guard_internal.canonical_key(subject, category);
    state privacy_guard.subject_state;
    erased privacy_guard.subject_state;
    number bigint;
    is_new boolean := false;
BEGIN
    LOOP
        SELECT s.subject INTO number FROM privacy_guard_internal.stored_subject(category, canonical) s;
        IF number IS NULL THEN
            erased := privacy_guard_internal.suppressed_state(category, canonical);
            EXIT WHEN erased.subject IS NOT NULL;
            PERFORM privacy_guard_internal.hold_category(category.category_id);
            INSERT INTO privacy_guard.subject_state (category_id, key, key_int)
                VALUES (category.category_id, canonical,
                        CASE WHEN category.key_type = 'bigint'::regtype THEN canonical::bigint END)
                ON CONFLICT DO NOTHING;
            is_new := FOUND;
            SELECT s.subject INTO number FROM privacy_guard_internal.stored_subject(category, canonical) s;
        END IF;
        SELECT * INTO state FROM privacy_guard.subject_state s WHERE s.subject = number FOR UPDATE;
        -- Or he was erased between the two statements: then look again.
        EXIT WHEN FOUND;
    END LOOP;
    IF is_new THEN
        -- Erased while this waited to insert; from now on he cannot be.
        erased := privacy_guard_internal.suppressed_state(category, canonical);
        IF erased.subject IS NOT NULL THEN
            DELETE FROM privacy_guard.subject_state s WHERE s.subject = number;
        END IF;
    END IF;
    IF erased.subject IS NOT NULL THEN
        state := erased;
    END IF;
    IF expected AND (is_new OR erased.subject IS NOT NULL) THEN
        RAISE NOTICE 'nothing was on record about this data subject of category "%"', category.name
            USING HINT = CASE WHEN erased.subject IS NULL THEN 'Check the key. The event is recorded.'
                              ELSE 'The data subject was erased. The event is recorded under the number that is left.' END;
    END IF;
    RETURN state;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.lock_subject(text, text, boolean) IS
    'The current state of a data subject, made where there is none, locked until the end of the transaction; of an erased one suppressed_state(). expected: a NOTICE where there was none. Errors: 22004, 22P02, 42704, F0000.';

-- What narrows needs less than what widens.
CREATE FUNCTION privacy_guard_internal.require_collection(purpose text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT privacy_guard_internal.has_privilege(privacy_guard_internal.invoker(), purpose, 'collect') THEN
        RAISE EXCEPTION 'role % may not collect for purpose "%"', privacy_guard_internal.invoker(), purpose
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('A steward can allow it: SELECT privacy_guard.grant_collection(%L, %L).',
                                purpose, privacy_guard_internal.invoker());
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_collection(text) IS
    'Refuses an invoker without grant_collection(). Errors: 42501.';

CREATE FUNCTION privacy_guard_internal.require_withdrawal(purpose text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    invoker regrole := privacy_guard_internal.invoker();
BEGIN
    IF NOT (privacy_guard_internal.has_privilege(invoker, purpose, 'process')
            OR privacy_guard_internal.has_privilege(invoker, purpose, 'collect')
            OR privacy_guard_internal.is_steward(invoker)) THEN
        RAISE EXCEPTION 'role % may not record decisions for purpose "%"', invoker, purpose
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'It needs to process or to collect for that purpose: see privacy_guard.grant_purpose() and grant_collection().';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_withdrawal(text) IS
    'Refuses an invoker who neither works for the purpose nor collects for it nor is a steward. Errors: 42501.';

CREATE FUNCTION privacy_guard_internal.application_user() RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT nullif(current_setting('privacy_guard.application_user', true), '') $$;
COMMENT ON FUNCTION privacy_guard_internal.application_user() IS
    'The person behind a shared database role, as the application says.';

-- The tables' own consent columns.

CREATE FUNCTION privacy_guard_internal.mirror_to_table(
    relation regclass, statement text, key anyelement, decisions privacy_guard.consent) RETURNS boolean
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'verb_mirror_consent';
COMMENT ON FUNCTION privacy_guard_internal.mirror_to_table(regclass, text, anyelement, privacy_guard.consent) IS
    'Runs an UPDATE as the table''s owner, with key as $1 and decisions as $2. False: left undone, because it would run somebody''s trigger as superuser.';

CREATE FUNCTION privacy_guard_internal.mirror_to_tables(
    state privacy_guard.subject_state, decisions privacy_guard.consent) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target record;
    statement text;
    done boolean;
BEGIN
    FOR target IN
        SELECT t.relation, t.consent_column, t.subject_columns[1] AS subject_column, c.key_type
          FROM privacy_guard.guarded_table t JOIN privacy_guard.subject_category c USING (category_id)
         WHERE t.category_id = state.category_id AND t.consent_column IS NOT NULL
           AND cardinality(t.subject_columns) > 0
         ORDER BY t.relation
    LOOP
        statement := format('UPDATE %1$s SET %2$I = privacy_guard.consent_merge(coalesce(%2$I, ''{}''), $2)'
            ' WHERE %3$I = $1 AND (%2$I IS NULL OR NOT privacy_guard.consent_contains(%2$I, $2))',
            target.relation, target.consent_column, target.subject_column);
        done := CASE target.key_type
            WHEN 'bigint'::regtype THEN privacy_guard_internal.mirror_to_table(
                target.relation, statement, state.key_int, decisions)
            WHEN 'uuid'::regtype THEN privacy_guard_internal.mirror_to_table(
                target.relation, statement, state.key::uuid, decisions)
            ELSE privacy_guard_internal.mirror_to_table(
                target.relation, statement, state.key::text, decisions) END;
        IF NOT done THEN
            RAISE WARNING 'the consent column of table % was not changed', target.relation
                USING DETAIL = 'A superuser owns the table, and its triggers would run as superuser.',
                      HINT = 'Let a role without superuser rights own the table, or drop its triggers.';
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.mirror_to_tables(privacy_guard.subject_state, privacy_guard.consent) IS
    'Merges decisions into the consent columns of the guarded tables of the subject''s category.';
