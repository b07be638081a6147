-- What anonymise and pseudonymise put in place of values.

-- Named in statements of ours; the planner puts the other one in its place.
CREATE FUNCTION privacy_guard.pseudonym(value text) RETURNS text
    LANGUAGE C STABLE STRICT AS 'MODULE_PATHNAME', 'pseudonym_refuse';
REVOKE ALL ON FUNCTION privacy_guard.pseudonym(text) FROM PUBLIC;
COMMENT ON FUNCTION privacy_guard.pseudonym(text) IS
    'What the mask pseudonym puts in place of a value. Only the eraser can call it. Errors: 42501.';

CREATE FUNCTION privacy_guard_internal.pseudonym(internal, value text) RETURNS text
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'pseudonym_of';
COMMENT ON FUNCTION privacy_guard_internal.pseudonym(internal, text) IS
    'The keyed digest of a value. The library puts it into plans; SQL cannot call it.';

CREATE FUNCTION privacy_guard_internal.require_mask_type(
    relation regclass, column_name name, kind text, fits boolean) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT fits THEN
        RAISE EXCEPTION 'mask "%" does not fit column "%" of table %', kind, column_name, relation
            USING ERRCODE = 'datatype_mismatch',
                  HINT = 'null fits every column; redact, partial and prefix:N fit texts, year and month dates and times, range:N numbers, pseudonym texts and uuids.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_mask_type(regclass, name, text, boolean) IS 'Errors: 42804.';

-- What is masked once more stays as it is: a run that was interrupted may meet a row again.
CREATE FUNCTION privacy_guard_internal.mask_expression(relation regclass, column_name name, kind text, action text)
    RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type regtype := privacy_guard_internal.column_type(relation, column_name);
    is_text boolean := type IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype);
    is_number boolean := type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype,
                                  'real'::regtype, 'double precision'::regtype);
    word text := split_part(kind, ':', 1);
    size integer := substring(kind FROM '^[a-z]+:([1-9][0-9]{0,8})$')::integer;
    attribute record;
    max_length integer;
BEGIN
    SELECT a.attnotnull OR t.typnotnull AS not_null, a.attgenerated <> '' AS generated,
           CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier
      INTO attribute
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = relation AND a.attname = column_name;
    IF kind IS NULL OR word <> ALL ('{"null",redact,partial,year,month,range,prefix,pseudonym}')
       OR (word IN ('range', 'prefix')) <> (size IS NOT NULL)
       OR (word NOT IN ('range', 'prefix') AND kind <> word) THEN
        RAISE EXCEPTION 'unknown mask for column "%" of table %', column_name, relation
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Use null, redact, partial, year, month, range:N, prefix:N or, to pseudonymise, pseudonym.';
    ELSIF word = 'pseudonym' AND action <> 'pseudonymise' THEN
        RAISE EXCEPTION 'column "%" of table % cannot be anonymised by a pseudonym', column_name, relation
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Who has the key can still tell the person. Choose another mask, or the action pseudonymise.';
    ELSIF word = 'null' AND attribute.not_null THEN
        RAISE EXCEPTION 'column "%" of table % must not be null', column_name, relation
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Drop NOT NULL from the column, or choose another mask.';
    ELSIF attribute.generated OR EXISTS (
        SELECT FROM privacy_guard_internal.family(relation) m JOIN pg_partitioned_table p ON p.partrelid = m
          JOIN pg_attribute a ON a.attrelid = m AND a.attname = column_name
         WHERE a.attnum = ANY (p.partattrs::smallint[])) THEN
        RAISE EXCEPTION 'column "%" of table % cannot be masked', column_name, relation
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is generated, or part of a partition key.';
    END IF;
    PERFORM privacy_guard_internal.require_mask_type(relation, column_name, kind, CASE word
        WHEN 'null' THEN true
        WHEN 'year' THEN type IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
        WHEN 'month' THEN type IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
        WHEN 'range' THEN is_number
        WHEN 'pseudonym' THEN type = 'uuid'::regtype OR (is_text AND (attribute.modifier < 0 OR attribute.modifier - 4 >= 16))
        ELSE is_text END);
    max_length := CASE WHEN is_text AND attribute.modifier > 0 THEN attribute.modifier - 4 ELSE 64 END;
    RETURN CASE word
        WHEN 'null' THEN 'NULL'
        WHEN 'redact' THEN format('CASE WHEN %I IS NOT NULL THEN %L END', column_name, left('redacted', max_length))
        WHEN 'partial' THEN format('left(%1$I::text, 1) || repeat(''*'', greatest(length(%1$I::text) - 1, 0))', column_name)
        WHEN 'prefix' THEN format('left(%I::text, %s)', column_name, size)
        WHEN 'range' THEN CASE
            WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
                THEN format('(%1$I - (%1$I %% %2$s + %2$s) %% %2$s)::%3$s', column_name || '', size, type)
            ELSE format('(floor(%I / %s) * %s)::%s', column_name, size, size, type) END
        WHEN 'pseudonym' THEN format('left(privacy_guard.pseudonym(%I::text), %s)::%s', column_name,
            CASE WHEN type = 'uuid'::regtype THEN 32 ELSE least(max_length, 64) END, type)
        ELSE CASE type
            WHEN 'timestamptz'::regtype THEN format('date_trunc(%L, %I, ''UTC'')', word, column_name)
            WHEN 'timestamp'::regtype THEN format('date_trunc(%L, %I)', word, column_name)
            ELSE format('date_trunc(%L, %I::timestamp)::date', word, column_name) END
    END;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.mask_expression(regclass, name, text, text) IS
    'What anonymise or pseudonymise puts in place of a column''s value. Errors: 22023, 42703, 42804.';
