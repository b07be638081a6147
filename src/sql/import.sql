-- Consents that were collected elsewhere: set-based, repeatable, and only into gaps.

CREATE FUNCTION privacy_guard_internal.read_source(query text)
    RETURNS TABLE (subject text, purpose text, status text, consent_type text, event_time timestamptz,
                   valid_until timestamptz, channel text, recipient text, collection_method text,
                   privacy_notice text, jurisdiction text)
    LANGUAGE C STRICT ROWS 100000 AS 'MODULE_PATHNAME', 'verb_read_source';
COMMENT ON FUNCTION privacy_guard_internal.read_source(text) IS
    'The rows of a query, run as the invoker of the verb in progress, with row security refused.';

-- One field of the mapping as an expression over the source: "=constant" or a column's name.
CREATE FUNCTION privacy_guard_internal.import_field(source regclass, mapping jsonb, field text, wanted regtype)
    RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    value text := mapping ->> field;
    column_type regtype;
BEGIN
    IF value IS NULL THEN
        RETURN format('NULL::%s', wanted);
    ELSIF starts_with(value, '=') THEN
        RETURN format('%L::%s', substr(value, 2), wanted);
    END IF;
    SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END INTO column_type
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = source AND a.attname = value AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of relation % does not exist', left(value, 63), source
            USING ERRCODE = 'undefined_column',
                  HINT = format('The mapping names it for "%s"; write a constant as "=value".', field);
    ELSIF wanted = 'timestamptz'::regtype
          AND column_type NOT IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype) THEN
        RAISE EXCEPTION 'column "%" of relation % is not a date or a time', value, source
            USING ERRCODE = 'datatype_mismatch',
                  HINT = format('"%s" needs a column of type date, timestamp or timestamp with time zone.', field);
    END IF;
    RETURN format('%I::%s', value, wanted);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.import_field(regclass, jsonb, text, regtype) IS
    'Errors: 42703 no such column, 42804 not a time.';

CREATE FUNCTION privacy_guard_internal.check_mapping(mapping jsonb) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := ARRAY['subject', 'purpose', 'event_time', 'status', 'consent_type', 'valid_until',
        'channel', 'recipient', 'category', 'collection_method', 'privacy_notice', 'jurisdiction'];
    wrong text;
BEGIN
    PERFORM privacy_guard_internal.require(mapping, 'mapping');
    IF jsonb_typeof(mapping) <> 'object' THEN
        RAISE EXCEPTION 'mapping must be an object'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'For example {"subject": "customer_id", "purpose": "=marketing.email", "event_time": "agreed_at"}.';
    END IF;
    SELECT min(e.key) INTO wrong FROM jsonb_each(mapping) e WHERE e.key <> ALL (known);
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'mapping has an unknown field "%"', left(wrong, 63)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Known are ' || array_to_string(known, ', ') || '.';
    END IF;
    SELECT min(e.key) INTO wrong FROM jsonb_each(mapping) e WHERE jsonb_typeof(e.value) <> 'string';
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'field "%" of the mapping must be a string', wrong
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a column''s name, or a constant as "=value".';
    END IF;
    SELECT min(f) INTO wrong FROM unnest(ARRAY['subject', 'purpose', 'event_time']) f WHERE NOT mapping ? f;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'mapping lacks the field "%"', wrong
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'subject, purpose and event_time must be given: a decision without its time could undo a newer one.';
    END IF;
    IF mapping ? 'category' AND NOT starts_with(mapping ->> 'category', '=') THEN
        RAISE EXCEPTION 'field "category" of the mapping must be a constant'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example "=customer".';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.check_mapping(jsonb) IS 'Errors: 22004, 22023.';

CREATE FUNCTION privacy_guard_internal.import_query(source regclass, mapping jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT %s FROM %s',
               string_agg(privacy_guard_internal.import_field(source,
                   jsonb_build_object('status', '=given', 'consent_type', '=expressed') || mapping,
                   f.name, f.type), ', ' ORDER BY f.place),
               source)
      FROM (VALUES (1, 'subject', 'text'::regtype), (2, 'purpose', 'text'), (3, 'status', 'text'),
                   (4, 'consent_type', 'text'), (5, 'event_time', 'timestamptz'),
                   (6, 'valid_until', 'timestamptz'), (7, 'channel', 'text'), (8, 'recipient', 'text'),
                   (9, 'collection_method', 'text'), (10, 'privacy_notice', 'text'),
                   (11, 'jurisdiction', 'text')) AS f (place, name, type) $$;
COMMENT ON FUNCTION privacy_guard_internal.import_query(regclass, jsonb) IS
    'What the invoker runs to read the source.';

-- Purposes are few and rows are many, so this is asked once for each purpose.
CREATE FUNCTION privacy_guard_internal.import_obstacle(purpose privacy_guard.purpose) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN NOT privacy_guard_internal.has_privilege(privacy_guard_internal.invoker(), purpose.path, 'collect')
            THEN 'collect'
        WHEN purpose.double_opt_in AND NOT privacy_guard_internal.is_steward(privacy_guard_internal.invoker())
            THEN 'confirm' END $$;
COMMENT ON FUNCTION privacy_guard_internal.import_obstacle(privacy_guard.purpose) IS
    'Why the invoker may not import consent for a purpose: collect, confirm, or null.';

-- The whole import as one statement, so that nothing is half applied. Each row gets a verdict: null to record, known
-- to skip, or what is wrong with it; the caller refuses when anything is. OFFSET 0 keeps expressions from being repeated.
CREATE FUNCTION privacy_guard_internal.import_statement(key_type regtype, has_integers boolean, races boolean, suppresses boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    typed_key text := CASE
        WHEN has_integers AND key_type = 'bigint'::regtype THEN 's.subject::bigint'
        WHEN key_type = 'bigint'::regtype THEN $e$CASE WHEN s.subject ~ '^\s*[+-]?[0-9]{1,40}\s*$' THEN
            CASE WHEN length(s.subject) < 19
                   OR s.subject::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
                 THEN s.subject::bigint END END$e$
        WHEN key_type = 'uuid'::regtype THEN
            $e$CASE WHEN s.subject ~* '^(([0-9a-f]{4}-?){7}[0-9a-f]{4}|\{([0-9a-f]{4}-?){7}[0-9a-f]{4}\})$'
                    THEN s.subject::uuid END$e$
        ELSE $e$CASE WHEN octet_length(s.subject) BETWEEN 1 AND 1024 THEN s.subject END COLLATE "C"$e$ END;
    stored_key text := CASE key_type WHEN 'bigint'::regtype THEN 't.key_int'
                                     WHEN 'uuid'::regtype THEN 't.key::uuid' ELSE 't.key' END;
    is_integer boolean := key_type = 'bigint'::regtype;
BEGIN
    RETURN replace(replace(replace(replace(replace(replace(replace($statement$
WITH purposes AS MATERIALIZED (
    SELECT p.path, p.version, privacy_guard_internal.import_obstacle(p) AS obstacle FROM privacy_guard.purpose p),
labels AS MATERIALIZED (
    SELECT enum_range(NULL::privacy_guard.consent_status)::text[] AS status,
           enum_range(NULL::privacy_guard.consent_type)::text[] AS consent_type),
rows AS MATERIALIZED (
    SELECT d.key, d.purpose, d.version, d.event_state, d.type, d.event_time, d.valid_until, d.channel,
           d.recipient, d.collection_method, d.privacy_notice, d.jurisdiction, d.decision, t.subject AS known,
           CASE WHEN d.problem IS NULL AND t.subject IS NOT NULL
                 AND privacy_guard.consent_overlaps(t.consent, d.decision) THEN 'known'
                WHEN <erased> THEN 'erased' ELSE d.problem END AS verdict
      FROM (SELECT e.*, CASE WHEN e.problem IS NULL THEN
                   privacy_guard.consent(e.purpose, e.event_state, e.type, e.event_time, e.valid_until, e.channel,
                                         e.recipient, e.version) END AS decision
              FROM (SELECT c.*, CASE WHEN c.problem IS NULL THEN c.status::privacy_guard.consent_status END AS event_state,
                           CASE WHEN c.problem IS NULL THEN c.consent_type::privacy_guard.consent_type END AS type
                      FROM (SELECT s.*, CASE
                        WHEN s.subject IS NULL OR s.purpose IS NULL OR s.status IS NULL OR s.consent_type IS NULL
                             OR s.event_time IS NULL THEN 'null'
                        WHEN s.key IS NULL THEN 'key'
                        WHEN s.version IS NULL THEN 'purpose'
                        WHEN s.status <> ALL ((SELECT status FROM labels)::text[]) THEN 'status'
                        WHEN s.consent_type <> ALL ((SELECT consent_type FROM labels)::text[]) THEN 'type'
                        WHEN s.event_time NOT BETWEEN '0001-01-01 UTC' AND $6 + interval '5 minutes' THEN 'time'
                        WHEN s.channel !~ '^[a-z][a-z0-9_-]{0,62}$' OR s.recipient !~ '^[a-z][a-z0-9_-]{0,62}$'
                            THEN 'label'
                        ELSE s.obstacle END AS problem
                      FROM (SELECT s.*, p.version, p.obstacle, <typed_key> AS key
                              FROM privacy_guard_internal.read_source($1) s
                              LEFT JOIN purposes p ON p.path = s.purpose OFFSET 0) s OFFSET 0) c OFFSET 0) e OFFSET 0) d
      LEFT JOIN privacy_guard.subject_state t ON t.category_id = $2 AND <stored_key> = d.key AND t.key_int IS <kind> NULL),
chosen AS NOT MATERIALIZED (SELECT * FROM rows WHERE verdict IS NULL LIMIT $5),
grouped AS MATERIALIZED (
    SELECT g.key, min(g.known) AS subject, privacy_guard.consent_agg(g.decision) AS decisions
      FROM chosen g GROUP BY g.key ORDER BY g.key),
created AS (
    INSERT INTO privacy_guard.subject_state AS t (category_id, key, key_int, consent)
        SELECT $2, g.key::text, <key_int>, g.decisions FROM grouped g WHERE g.subject IS NULL
        <on_conflict>
        RETURNING t.subject, <stored_key> AS key, t.xmax = 0 AS is_new),
changed AS (
    UPDATE privacy_guard.subject_state t SET consent = privacy_guard.consent_merge(t.consent, g.decisions)
      FROM grouped g WHERE t.subject = g.subject
        RETURNING t.subject, g.key),
state AS (SELECT c.subject, c.key FROM created c UNION ALL SELECT c.subject, c.key FROM changed c),
ledger AS (
    INSERT INTO privacy_guard.consent_record (record_id, pii_principal_id, purpose, purpose_version, event_state,
            consent_type, event_time, valid_until, privacy_notice, collection_method, jurisdiction, channel,
            recipient, recorded_by, application_user, recorded_at)
        SELECT privacy_guard_internal.record_id(), s.subject, g.purpose, g.version,
               g.event_state, g.type, g.event_time,
               coalesce(g.valid_until, 'infinity'), g.privacy_notice, g.collection_method, g.jurisdiction,
               g.channel, g.recipient, $3, $4, $6
          FROM chosen g JOIN state s ON s.key = g.key)
SELECT (SELECT count(*) FROM rows) AS read,
       (SELECT count(*) FROM rows WHERE verdict IS NULL) AS missing,
       (SELECT count(*) FROM rows WHERE verdict = 'known') AS skipped,
       (SELECT count(*) FROM rows WHERE verdict = 'erased') AS erased,
       (SELECT count(*) FROM created WHERE is_new) AS new_subjects,
       (SELECT privacy_guard.subject_set_agg(s.subject)
          FROM (SELECT c.subject FROM created c UNION ALL SELECT c.subject FROM changed c) s) AS subjects,
       (SELECT jsonb_object_agg(p.verdict, p.rows)
          FROM (SELECT verdict, count(*) AS rows FROM rows WHERE verdict NOT IN ('known', 'erased') GROUP BY verdict) p) AS problems
$statement$,
        '<typed_key>', typed_key), '<stored_key>', stored_key),
        '<key_int>', CASE WHEN is_integer THEN 'g.key' ELSE 'NULL::bigint' END),
        '<kind>', CASE WHEN is_integer THEN 'NOT' ELSE '' END),
        '<on_conflict>', CASE WHEN races THEN format(
            'ON CONFLICT (category_id, %s NULL DO UPDATE SET consent = privacy_guard.consent_merge(t.consent, excluded.consent)',
            CASE WHEN is_integer THEN 'key_int) WHERE key_int IS NOT' ELSE 'key) WHERE key_int IS' END) ELSE '' END),
        '$6', '$6::timestamptz'),
        '<erased>', CASE WHEN suppresses THEN 'd.problem IS NULL AND t.subject IS NULL
                     AND privacy_guard_internal.suppressed_number($2, d.key::text) IS NOT NULL' ELSE 'false' END);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.import_statement(regtype, boolean, boolean, boolean) IS
    'The statement of import_consents() for a type of key; has_integers: the source''s keys need no check; races: somebody else adds the same subjects meanwhile; suppresses: some subjects were erased; parameters: query, category, invoker, application user, most rows, now.';

CREATE FUNCTION privacy_guard_internal.refuse_import(problems jsonb, source regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refusal record;
BEGIN
    SELECT * INTO refusal FROM (VALUES
        (1, 'collect', '42501', 'name a purpose that the role may not collect for',
         'A steward can allow it with privacy_guard.grant_collection().'),
        (2, 'confirm', '42501', 'name a purpose with double opt-in',
         'Only a steward who may also collect for it imports consent that was confirmed elsewhere.'),
        (3, 'null', '22004', 'lack a subject, purpose, status, consent type or event time',
         'Leave such rows out, in a view for example.'),
        (4, 'key', '22P02', 'have an invalid key of the data subject',
         'The key must be of the type of the subject category.'),
        (5, 'purpose', '42704', 'name a purpose that does not exist',
         'Make it with privacy_guard.create_purpose(), or map it in a view.'),
        (6, 'status', '22023', 'have an unknown consent status',
         'Use ' || array_to_string(enum_range(NULL::privacy_guard.consent_status), ', ') || '.'),
        (7, 'type', '22023', 'have an unknown consent type',
         'Use ' || array_to_string(enum_range(NULL::privacy_guard.consent_type), ', ') || '.'),
        (8, 'time', '22023', 'have an event time in the future, before year 1 or infinite',
         'Correct the times, or map them in a view.'),
        (9, 'label', '22023', 'have an invalid channel or recipient',
         'Write a lower-case letter followed by up to 62 lower-case letters, digits, underscores or hyphens.'))
        AS r (place, problem, code, message, hint)
     WHERE problems ? r.problem ORDER BY r.place LIMIT 1;
    RAISE EXCEPTION '% rows of % %', problems ->> refusal.problem, source, refusal.message
        USING ERRCODE = refusal.code, HINT = refusal.hint, DETAIL = 'Nothing was imported.';
END $$;
COMMENT ON FUNCTION privacy_guard_internal.refuse_import(jsonb, regclass) IS
    'Raises the first kind of problem with its count, never with a value. Errors: 22004, 22023, 22P02, 42501, 42704.';

CREATE FUNCTION privacy_guard_internal.import_consents(
    source regclass, mapping jsonb, max_rows bigint DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
    SET work_mem = '256MB' SET enable_hashagg = off SET enable_nestloop = off AS $$
DECLARE
    category privacy_guard.subject_category;
    has_integers boolean;
    suppresses boolean;
    query text;
    result record;
BEGIN
    PERFORM privacy_guard_internal.require(source, 'source');
    PERFORM privacy_guard_internal.check_mapping(mapping);
    category := privacy_guard_internal.require_category(coalesce(substr(mapping ->> 'category', 2), 'customer'));
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = source AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) THEN
        RAISE EXCEPTION '% is not a table or a view', source
            USING ERRCODE = 'wrong_object_type', HINT = 'Import from a table, a foreign table or a view.';
    END IF;
    has_integers := EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = source AND a.attname = mapping ->> 'subject'
           AND a.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype));
    query := privacy_guard_internal.import_query(source, mapping);
    -- One import at a time in a category; single decisions go on beside it.
    PERFORM FROM privacy_guard.subject_category c WHERE c.category_id = category.category_id FOR NO KEY UPDATE;
    suppresses := EXISTS (SELECT FROM privacy_guard.suppression s WHERE s.category_id = category.category_id);
    BEGIN
        EXECUTE privacy_guard_internal.import_statement(category.key_type, has_integers, races => false, suppresses => suppresses)
           INTO STRICT result USING query, category.category_id, privacy_guard_internal.invoker()::text,
                privacy_guard_internal.application_user(), max_rows, clock_timestamp();
    EXCEPTION WHEN unique_violation THEN
        -- Somebody added one of the new subjects meanwhile: once more, slower and prepared for that.
        EXECUTE privacy_guard_internal.import_statement(category.key_type, has_integers, races => true, suppresses => suppresses)
           INTO STRICT result USING query, category.category_id, privacy_guard_internal.invoker()::text,
                privacy_guard_internal.application_user(), max_rows, clock_timestamp();
    END;
    IF result.problems IS NOT NULL THEN
        PERFORM privacy_guard_internal.refuse_import(result.problems, source);
    END IF;
    IF result.erased > 0 THEN
        RAISE NOTICE '% rows of % are about data subjects that were erased, and were left out', result.erased, source;
    END IF;
    PERFORM privacy_guard_internal.audit_event('consent', 'import', source::text, subjects => result.subjects,
        rows => least(result.missing, coalesce(max_rows, result.missing)));
    PERFORM privacy_guard_internal.wake_for_expiry(privacy_guard_internal.expire_consents_at());
    RETURN jsonb_build_object('read', result.read, 'skipped', result.skipped,
        'imported', least(result.missing, coalesce(max_rows, result.missing)),
        'remaining', greatest(result.missing - max_rows, 0), 'new_subjects', result.new_subjects) ||
        CASE WHEN result.erased > 0 THEN jsonb_build_object('erased', result.erased) ELSE '{}' END;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.import_consents IS
    'Records consents from a table or view, read with the caller''s privileges. mapping: subject, purpose and event_time, and where wanted status, consent_type, valid_until, channel, recipient, collection_method, privacy_notice, jurisdiction, category; each a column''s name or "=constant". Only fills gaps: a decision on record for the same subject, purpose, channel and recipient stays, so it can be repeated after an interruption. max_rows: record at most so many, and go on with the next call. Returns counts: read, imported, skipped (already decided), erased (data subjects that were erased are left out; present where there are any), remaining, new_subjects. All or nothing; messages count bad rows and show none. Consent columns of guarded tables are not written. Needs grant_collection(). Errors: 22004, 22023, 22P02, 42501, 42703, 42704, 42804, 42809.';
CALL privacy_guard_internal.publish('import_consents', 'anyone');
