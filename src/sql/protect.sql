-- Which tables are guarded, and what their rules permit.

-- ---- columns ----

CREATE FUNCTION privacy_guard_internal.column_type(relation regclass, column_name name) RETURNS regtype
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type oid;
BEGIN
    SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END INTO type
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % has no column "%"', relation, column_name
            USING ERRCODE = 'undefined_column', HINT = 'Name a column of the table itself, not of another one.';
    END IF;
    RETURN type;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.column_type(regclass, name) IS
    'The type of a column, of a domain its base type. Errors: 42703.';

CREATE FUNCTION privacy_guard_internal.key_type(relation regclass, column_name name) RETURNS regtype
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type regtype := privacy_guard_internal.column_type(relation, column_name);
BEGIN
    CASE
        WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN RETURN 'bigint'::regtype;
        WHEN type = 'uuid'::regtype THEN RETURN type;
        WHEN type IN ('text'::regtype, 'varchar'::regtype) THEN RETURN 'text'::regtype;
        ELSE
            RAISE EXCEPTION 'column "%" of table % has type %, which cannot name a data subject',
                            column_name, relation, type
                USING ERRCODE = 'datatype_mismatch',
                      HINT = 'Subject columns are smallint, integer, bigint, uuid, text or varchar.';
    END CASE;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.key_type(regclass, name) IS
    'The type of key that a subject column holds: bigint, uuid or text. Errors: 42703, 42804.';

CREATE FUNCTION privacy_guard_internal.via_reference(child regclass, via name, OUT parent regclass, OUT parent_column name)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.confrelid, p.attname
      FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
      JOIN pg_attribute p ON p.attrelid = c.confrelid AND p.attnum = c.confkey[1]
     WHERE c.conrelid = via_reference.child AND c.contype = 'f' AND c.convalidated
       AND cardinality(c.conkey) = 1 AND a.attname = via_reference.via
     ORDER BY c.oid LIMIT 1 $$;
COMMENT ON FUNCTION privacy_guard_internal.via_reference(regclass, name) IS
    'What a foreign-key column references, as src/policy/foreign_key.c has it; null where it is none.';

CREATE FUNCTION privacy_guard_internal.via_parent(child regclass, via name, missing_ok boolean DEFAULT false)
    RETURNS regclass
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent regclass;
BEGIN
    PERFORM privacy_guard_internal.column_type(child, via);
    SELECT r.parent INTO parent FROM privacy_guard_internal.via_reference(child, via) r;
    IF parent IS NULL AND NOT missing_ok THEN
        RAISE EXCEPTION 'column "%" of table % is not a validated foreign key of one column', via, child
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'subject_via needs a foreign key that references the guarded table which knows the data subject.';
    END IF;
    RETURN parent;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.via_parent(regclass, name, boolean) IS
    'The table that a foreign-key column references. Errors: 42703, 22023.';

-- ---- relations ----

CREATE FUNCTION privacy_guard_internal.family(root regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE member(relation) AS (
        SELECT root::oid
        UNION
        SELECT i.inhrelid FROM pg_inherits i JOIN member m ON i.inhparent = m.relation)
    SELECT relation::regclass FROM member ORDER BY relation <> root, relation $$;
COMMENT ON FUNCTION privacy_guard_internal.family(regclass) IS
    'A table, its partitions and inheritance children, itself first.';

CREATE FUNCTION privacy_guard_internal.ancestors(relation regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE member(relation) AS (
        SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = ancestors.relation
        UNION
        SELECT i.inhparent FROM pg_inherits i JOIN member m ON i.inhrelid = m.relation)
    SELECT relation::regclass FROM member $$;
COMMENT ON FUNCTION privacy_guard_internal.ancestors(regclass) IS 'What a table inherits from.';

CREATE FUNCTION privacy_guard_internal.require_relation(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require(relation, 'relation');
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) THEN
        RAISE EXCEPTION 'relation % does not exist', relation::oid
            USING ERRCODE = 'undefined_table', HINT = 'Check the name and its schema.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_relation(regclass) IS 'Refuses null and what is no relation. Errors: 22004, 42P01.';

CREATE FUNCTION privacy_guard_internal.require_guarded(relation regclass) RETURNS privacy_guard.guarded_table
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_table privacy_guard.guarded_table;
BEGIN
    PERFORM privacy_guard_internal.require_relation(relation);
    SELECT * INTO found_table FROM privacy_guard.guarded_table g WHERE g.relation = require_guarded.relation;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % is not guarded', relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Guard it with privacy_guard.protect(). Partitions and children follow the rules of their parent.';
    END IF;
    RETURN found_table;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_guarded(regclass) IS 'The guarded table. Errors: 22004, 42P01, 55000.';

-- Everything about a table that would leave a way around the guard.
CREATE FUNCTION privacy_guard_internal.require_guardable(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class;
    member regclass;
    other regclass;
BEGIN
    PERFORM privacy_guard_internal.require_relation(relation);
    SELECT * INTO class FROM pg_class c WHERE c.oid = relation;
    IF class.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is not a table', relation
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'Protect the tables that a view, materialized view or foreign table reads.';
    END IF;
    IF class.relpersistence = 't' THEN
        RAISE EXCEPTION 'table % is temporary', relation
            USING ERRCODE = 'wrong_object_type', HINT = 'Only permanent tables can be guarded.';
    END IF;
    IF relation::oid < 16384 OR class.relnamespace IN ('pg_catalog'::regnamespace, 'privacy_guard'::regnamespace,
                                                       'privacy_guard_internal'::regnamespace) THEN
        RAISE EXCEPTION 'table % belongs to the system', relation
            USING ERRCODE = 'wrong_object_type', HINT = 'Only tables of users can be guarded.';
    END IF;
    SELECT g.relation INTO other FROM privacy_guard.guarded_table g
     WHERE g.relation = require_guardable.relation
        OR g.relation IN (SELECT privacy_guard_internal.family(require_guardable.relation))
        OR g.relation IN (SELECT privacy_guard_internal.ancestors(require_guardable.relation));
    IF other = relation THEN
        RAISE EXCEPTION 'table % is guarded already', relation
            USING ERRCODE = 'duplicate_object',
                  HINT = 'Change its rules with permit() and prohibit(), or unprotect() it first.';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'table % is guarded through %', relation, other
            USING ERRCODE = 'duplicate_object',
                  HINT = 'Partitions and children have the guard of their parent. Protect only the topmost table.';
    END IF;
    FOR member IN SELECT privacy_guard_internal.family(relation) LOOP
        PERFORM privacy_guard_internal.require_plain(member);
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_guardable(regclass) IS
    'Refuses what protect() cannot guard. Errors: 22004, 42P01, 42809, 42710, 55000.';

CREATE FUNCTION privacy_guard_internal.require_plain(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind NOT IN ('r', 'p')) THEN
        RAISE EXCEPTION 'table % is a foreign partition or child', relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Detach it: rows on another server cannot be guarded here.';
    END IF;
    IF EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = relation) THEN
        RAISE EXCEPTION 'table % has rewrite rules', relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Drop the rules; a trigger can usually do the same.';
    END IF;
    IF EXISTS (SELECT FROM pg_publication_rel p WHERE p.prrelid = relation)
       OR EXISTS (SELECT FROM pg_publication p WHERE p.puballtables)
       OR EXISTS (SELECT FROM pg_publication_namespace p JOIN pg_class c ON c.relnamespace = p.pnnspid
                   WHERE c.oid = relation) THEN
        RAISE EXCEPTION 'table % is published for logical replication', relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Subscribers receive rows past every guard. Take the table out of the publication.';
    END IF;
    IF (SELECT count(DISTINCT i.inhparent) FROM pg_inherits i WHERE i.inhrelid = relation) > 1 THEN
        RAISE EXCEPTION 'table % inherits from several tables', relation
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'A guarded table has one parent at most.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_plain(regclass) IS
    'Refuses a table whose rows could leave past the guard. Errors: 55000.';

-- ---- the stored part of the guard ----

CREATE FUNCTION privacy_guard_internal.row_security(relation regclass) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN NOT c.relrowsecurity THEN 'off'
                WHEN c.relforcerowsecurity THEN 'forced' ELSE 'enabled' END
      FROM pg_class c WHERE c.oid = relation $$;
COMMENT ON FUNCTION privacy_guard_internal.row_security(regclass) IS 'Row security of a table: off, enabled or forced.';

CREATE FUNCTION privacy_guard_internal.has_trigger(relation regclass, function regprocedure) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgfoid = function) $$;
COMMENT ON FUNCTION privacy_guard_internal.has_trigger(regclass, regprocedure) IS 'Whether a table has a trigger that calls this.';

CREATE FUNCTION privacy_guard_internal.arm(relation regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
    IF NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = relation AND p.polname = 'privacy_guard') THEN
        EXECUTE format('CREATE POLICY privacy_guard ON %s AS RESTRICTIVE USING (privacy_guard_internal.library_loaded())',
                       relation);
    END IF;
    -- Bit 8: DELETE. A dump of an earlier version has triggers without it.
    IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgparentid = 0 AND t.tgtype & 8 = 0
                  AND t.tgfoid = 'privacy_guard_internal.check_new_row()'::regprocedure) THEN
        EXECUTE format('DROP TRIGGER privacy_guard_check ON %s', relation);
    END IF;
    IF NOT privacy_guard_internal.has_trigger(relation, 'privacy_guard_internal.check_new_row()') THEN
        EXECUTE format('CREATE TRIGGER privacy_guard_check AFTER INSERT OR UPDATE OR DELETE ON %s
                            FOR EACH ROW EXECUTE FUNCTION privacy_guard_internal.check_new_row()', relation);
    END IF;
    IF NOT privacy_guard_internal.has_trigger(relation, 'privacy_guard_internal.check_truncate()') THEN
        EXECUTE format('CREATE TRIGGER privacy_guard_truncate BEFORE TRUNCATE ON %s
                            FOR EACH STATEMENT EXECUTE FUNCTION privacy_guard_internal.check_truncate()', relation);
    END IF;
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER privacy_guard_check,
                                        ENABLE ALWAYS TRIGGER privacy_guard_truncate', relation);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.arm(regclass) IS
    'Puts row security, the policy and the triggers of the guard on one table.';

CREATE FUNCTION privacy_guard_internal.disarm(relation regclass, prior text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('DROP POLICY IF EXISTS privacy_guard ON %s', relation);
    IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgparentid = 0
                  AND t.tgfoid = 'privacy_guard_internal.check_new_row()'::regprocedure) THEN
        EXECUTE format('DROP TRIGGER privacy_guard_check ON %s', relation);
    END IF;
    IF privacy_guard_internal.has_trigger(relation, 'privacy_guard_internal.check_truncate()') THEN
        EXECUTE format('DROP TRIGGER privacy_guard_truncate ON %s', relation);
    END IF;
    IF prior <> 'forced' THEN
        EXECUTE format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', relation);
    END IF;
    IF prior = 'off' THEN
        EXECUTE format('ALTER TABLE ONLY %s DISABLE ROW LEVEL SECURITY', relation);
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.disarm(regclass, text) IS
    'Takes the guard off one table and restores its row security.';

CREATE FUNCTION privacy_guard_internal.adopt(root regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass;
BEGIN
    FOR member IN SELECT privacy_guard_internal.family(root) LOOP
        IF member <> root THEN
            PERFORM privacy_guard_internal.require_plain(member);
            INSERT INTO privacy_guard.guarded_child (relation, root, prior_row_security)
            VALUES (member, adopt.root, privacy_guard_internal.row_security(member))
            ON CONFLICT DO NOTHING;
        END IF;
        PERFORM privacy_guard_internal.arm(member);
    END LOOP;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.adopt(regclass) IS
    'Arms a guarded table and whatever has become its partition or child since. Errors: 55000.';

-- ---- protect ----

CREATE FUNCTION privacy_guard_internal.category_for(category text, key_type regtype) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    existing privacy_guard.subject_category;
BEGIN
    PERFORM privacy_guard_internal.require(category, 'subject_category');
    SELECT * INTO existing FROM privacy_guard.subject_category c WHERE c.name = category;
    IF NOT FOUND THEN
        PERFORM privacy_guard_internal.create_subject_category(category, key_type);
        SELECT * INTO existing FROM privacy_guard.subject_category c WHERE c.name = category;
    ELSIF existing.key_type <> category_for.key_type THEN
        RAISE EXCEPTION 'data subjects of category "%" have keys of type %, not %',
                        category, existing.key_type, key_type
            USING ERRCODE = 'datatype_mismatch',
                  HINT = 'Name the column that holds the key of this category, or another subject_category.';
    END IF;
    RETURN existing.category_id;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.category_for(text, regtype) IS
    'The number of a category, made where it does not exist. Errors: 22004, 22023, 42804.';

CREATE FUNCTION privacy_guard_internal.require_choice(value text, parameter text, VARIADIC choices text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require(value, parameter);
    IF value <> ALL (choices) THEN
        RAISE EXCEPTION 'parameter "%" cannot be "%"', parameter, left(value, 63)
            USING ERRCODE = 'invalid_parameter_value', HINT = format('Choose one of: %s.', array_to_string(choices, ', '));
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.require_choice(text, text, text[]) IS 'Refuses what is not one of the choices. Errors: 22004, 22023.';

CREATE FUNCTION privacy_guard_internal.subject_category_id(relation regclass, columns name[], via name, category text)
    RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind regtype;
    parent privacy_guard.guarded_table;
    col name;
BEGIN
    IF via IS NOT NULL THEN
        parent := privacy_guard_internal.require_guarded(privacy_guard_internal.via_parent(relation, via));
        RETURN parent.category_id;
    END IF;
    FOREACH col IN ARRAY columns LOOP
        PERFORM privacy_guard_internal.require(col, 'subject_columns');
        IF kind IS NOT NULL AND kind <> privacy_guard_internal.key_type(relation, col) THEN
            RAISE EXCEPTION 'the subject columns of table % have keys of different types', relation
                USING ERRCODE = 'datatype_mismatch', HINT = 'All subject columns name data subjects of one category.';
        END IF;
        kind := privacy_guard_internal.key_type(relation, col);
    END LOOP;
    RETURN privacy_guard_internal.category_for(category, kind);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.subject_category_id(regclass, name[], name, text) IS
    'Checks what protect() was told about the subject, and finds the category. Errors: 22004, 42703, 42804, 55000.';

CREATE FUNCTION privacy_guard_internal.set_identity() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM privacy_guard.identity;
    INSERT INTO privacy_guard.identity
    SELECT c.system_identifier, d.oid FROM pg_control_system() c, pg_database d WHERE d.datname = current_database() $$;
COMMENT ON FUNCTION privacy_guard_internal.set_identity() IS 'Puts the guards in force for this cluster and database.';

CREATE FUNCTION privacy_guard_internal.has_identity() RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM privacy_guard.identity i, pg_control_system() c, pg_database d
                    WHERE i.system_identifier = c.system_identifier AND i.database = d.oid
                      AND d.datname = current_database()) $$;
COMMENT ON FUNCTION privacy_guard_internal.has_identity() IS 'Whether the guards are in force for this cluster and database.';

CREATE FUNCTION privacy_guard_internal.protect(
    relation regclass, subject_column name DEFAULT NULL, subject_columns name[] DEFAULT NULL,
    subject_via name DEFAULT NULL, subject_category text DEFAULT 'customer', consent_column name DEFAULT NULL,
    audit_level text DEFAULT 'subject', mode text DEFAULT 'enforce', null_subject text DEFAULT 'hide')
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns name[] := CASE WHEN subject_column IS NOT NULL THEN ARRAY[subject_column]
                           ELSE coalesce(subject_columns, '{}') END;
    category integer;
BEGIN
    PERFORM privacy_guard_internal.require_choice(audit_level, 'audit_level', 'subject', 'statement', 'none');
    PERFORM privacy_guard_internal.require_choice(mode, 'mode', 'enforce', 'monitor');
    PERFORM privacy_guard_internal.require_choice(null_subject, 'null_subject', 'hide', 'show');
    PERFORM privacy_guard_internal.require_guardable(relation);
    IF num_nonnulls(subject_column, subject_columns, subject_via) <> 1
       OR (subject_via IS NULL AND cardinality(columns) = 0) THEN
        RAISE EXCEPTION 'protect() needs one of subject_column, subject_columns and subject_via'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Name the column that holds the data subject''s id, or the foreign key that leads to it.';
    END IF;
    IF cardinality(columns) > 8 THEN
        RAISE EXCEPTION 'a guarded table has at most 8 subject columns'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Reach further subjects through a table of their own.';
    END IF;
    IF consent_column IS NOT NULL
       AND (subject_via IS NOT NULL
            OR privacy_guard_internal.column_type(relation, consent_column) <> 'privacy_guard.consent'::regtype) THEN
        RAISE EXCEPTION 'column "%" cannot hold the consent of table %', consent_column, relation
            USING ERRCODE = 'datatype_mismatch',
                  HINT = 'consent_column is a column of type privacy_guard.consent in a table with subject columns.';
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
    category := privacy_guard_internal.subject_category_id(relation, columns, subject_via, subject_category);
    IF NOT EXISTS (SELECT FROM privacy_guard.guarded_table) THEN
        PERFORM privacy_guard_internal.set_identity();
    END IF;
    INSERT INTO privacy_guard.guarded_table
        (relation, category_id, subject_columns, subject_via, consent_column, null_subject, audit_level, mode,
         prior_row_security, protected_by)
    VALUES (relation, category, columns, subject_via, consent_column, null_subject, audit_level, mode,
            privacy_guard_internal.row_security(relation), privacy_guard_internal.invoker()::text);
    PERFORM privacy_guard_internal.adopt(relation);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.protect(regclass, name, name[], name, text, name, text, text, text) IS
    'Guards a table, with its partitions and children: from now on a row is seen only for a purpose that a rule permits and that its data subjects'' consent, or another legal basis, allows. One of subject_column, subject_columns and subject_via names the subject. mode: enforce, or monitor to count only. null_subject: hide or show rows without subject. Takes ACCESS EXCLUSIVE locks for a moment, honours lock_timeout, reads and rewrites no row. Errors: 22004, 22023, 42703, 42710, 42804, 42809, 55000. GDPR Art. 5(1)(b), 25.';
CALL privacy_guard_internal.publish('protect', 'steward');

CREATE FUNCTION privacy_guard_internal.forget_table(relation oid) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM privacy_guard.unneeded_since u WHERE u.relation = forget_table.relation;
    DELETE FROM privacy_guard.unneeded_pass p WHERE p.relation = forget_table.relation;
    DELETE FROM privacy_guard.rule r WHERE r.relation = forget_table.relation;
    DELETE FROM privacy_guard.retention d WHERE d.relation = forget_table.relation;
    DELETE FROM privacy_guard.table_mode m WHERE m.relation = forget_table.relation;
    DELETE FROM privacy_guard.guarded_child c WHERE forget_table.relation IN (c.root, c.relation);
    DELETE FROM privacy_guard.guarded_table g WHERE g.relation = forget_table.relation $$;
COMMENT ON FUNCTION privacy_guard_internal.forget_table(oid) IS
    'Forgets a guarded table with its rules, storage durations, modes and children, or a single child. Also after DROP TABLE by a data steward.';

CREATE FUNCTION privacy_guard_internal.unprotect(relation regclass)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    guarded privacy_guard.guarded_table;
    dependant regclass;
    child privacy_guard.guarded_child;
BEGIN
    -- A restore may bring the rules of a table that is no longer there.
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation)
       AND EXISTS (SELECT FROM privacy_guard.guarded_table g WHERE g.relation = unprotect.relation) THEN
        PERFORM privacy_guard_internal.forget_table(relation);
        RETURN;
    END IF;
    guarded := privacy_guard_internal.require_guarded(relation);
    SELECT g.relation INTO dependant FROM privacy_guard.guarded_table g
     WHERE g.subject_via IS NOT NULL AND g.relation <> unprotect.relation
       AND EXISTS (SELECT FROM pg_class c WHERE c.oid = g.relation)
       AND privacy_guard_internal.via_parent(g.relation, g.subject_via, missing_ok => true) = unprotect.relation;
    IF FOUND THEN
        RAISE EXCEPTION 'table % reaches its data subjects through table %', dependant, relation
            USING ERRCODE = 'dependent_objects_still_exist', HINT = 'Unprotect that table first.';
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
    PERFORM privacy_guard_internal.require_unheld(relation, 'unprotect');
    PERFORM privacy_guard_internal.disarm(relation, guarded.prior_row_security);
    FOR child IN SELECT * FROM privacy_guard.guarded_child c WHERE c.root = unprotect.relation LOOP
        IF EXISTS (SELECT FROM pg_class c WHERE c.oid = child.relation) THEN
            PERFORM privacy_guard_internal.disarm(child.relation, child.prior_row_security);
        END IF;
    END LOOP;
    PERFORM privacy_guard_internal.forget_table(relation);
END $$;
COMMENT ON FUNCTION privacy_guard_internal.unprotect(regclass) IS
    'Takes the guard off a table, with its rules, storage durations and modes, and restores its row security. Not while a legal hold may bind its rows. Errors: 22004, 42501, 42P01, 55000, 2BP01.';
CALL privacy_guard_internal.publish('unprotect', 'steward');

CREATE FUNCTION privacy_guard_internal.set_mode(relation regclass, mode text, role regrole DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require_guarded(relation);
    IF role IS NULL THEN
        PERFORM privacy_guard_internal.require_choice(mode, 'mode', 'enforce', 'monitor');
        UPDATE privacy_guard.guarded_table g SET mode = set_mode.mode WHERE g.relation = set_mode.relation;
        RETURN;
    END IF;
    PERFORM privacy_guard_internal.require_role(role);
    IF mode IS NULL THEN
        DELETE FROM privacy_guard.table_mode m WHERE m.relation = set_mode.relation AND m.role = set_mode.role;
        RETURN;
    END IF;
    PERFORM privacy_guard_internal.require_choice(mode, 'mode', 'enforce', 'monitor');
    INSERT INTO privacy_guard.table_mode AS m (relation, role, mode) VALUES (relation, role, mode)
    ON CONFLICT ON CONSTRAINT table_mode_pkey DO UPDATE SET mode = excluded.mode;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.set_mode(regclass, text, regrole) IS
    'Switches a guarded table between enforce and monitor, for everyone or for one role (not its members); with a role, mode NULL returns to the table''s. In monitor nothing is withheld; see enforcement_report(). Errors: 22004, 22023, 42704, 55000.';
CALL privacy_guard_internal.publish('set_mode', 'steward');

-- ---- rules ----

CREATE FUNCTION privacy_guard_internal.set_rule(relation regclass, purpose text, effect text, columns name[], masks jsonb,
    basis privacy_guard.legal_basis, category text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    category_number integer;
BEGIN
    PERFORM privacy_guard_internal.require_guarded(relation);
    PERFORM privacy_guard_internal.require_purpose(purpose);
    IF columns IS NOT NULL OR masks IS NOT NULL THEN
        RAISE EXCEPTION 'rules for single columns are not supported in this version'
            USING ERRCODE = 'feature_not_supported', HINT = 'Leave columns and masks out: the rule is for whole rows.';
    END IF;
    IF category IS NOT NULL THEN
        SELECT c.category_id INTO category_number FROM privacy_guard.subject_category c WHERE c.name = category;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'subject category "%" does not exist', left(category, 63)
                USING ERRCODE = 'undefined_object', HINT = 'privacy_guard.guarded_tables shows the category of each table.';
        END IF;
    END IF;
    INSERT INTO privacy_guard.rule AS r (relation, purpose, category_id, effect, legal_basis, created_by)
    VALUES (relation, purpose, category_number, effect, basis, privacy_guard_internal.invoker()::text)
    ON CONFLICT (relation, purpose, effect, (coalesce(category_id, 0)))
    DO UPDATE SET legal_basis = excluded.legal_basis, created_by = excluded.created_by,
                  created_at = excluded.created_at;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.set_rule(regclass, text, text, name[], jsonb, privacy_guard.legal_basis, text) IS
    'Makes or renews a rule. Errors: 0A000, 22004, 42704, 55000.';

CREATE FUNCTION privacy_guard_internal.permit(relation regclass, purpose text, columns name[] DEFAULT NULL,
    masks jsonb DEFAULT NULL, legal_basis privacy_guard.legal_basis DEFAULT NULL, subject_category text DEFAULT NULL)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT privacy_guard_internal.set_rule(relation, purpose, 'permit', columns, masks, legal_basis, subject_category) $$;
COMMENT ON FUNCTION privacy_guard_internal.permit(regclass, text, name[], jsonb, privacy_guard.legal_basis, text) IS
    'Permits a purpose, and those below it, on a guarded table. legal_basis NULL takes the purpose''s own; subject_category NULL is for every category. Errors: 0A000, 22004, 42704, 55000. GDPR Art. 5(1)(b), 6(1).';
CALL privacy_guard_internal.publish('permit', 'steward');

CREATE FUNCTION privacy_guard_internal.prohibit(relation regclass, purpose text, columns name[] DEFAULT NULL)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT privacy_guard_internal.set_rule(relation, purpose, 'prohibit', columns, NULL, NULL, NULL) $$;
COMMENT ON FUNCTION privacy_guard_internal.prohibit(regclass, text, name[]) IS
    'Prohibits a purpose, and those below it, on a guarded table; overrules permissions that are older. Errors: 0A000, 22004, 42704, 55000.';
CALL privacy_guard_internal.publish('prohibit', 'steward');

CREATE FUNCTION privacy_guard_internal.drop_rule(relation regclass, purpose text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM privacy_guard_internal.require_guarded(relation);
    PERFORM privacy_guard_internal.require_purpose(purpose);
    DELETE FROM privacy_guard.rule r WHERE r.relation = drop_rule.relation AND r.purpose = drop_rule.purpose;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % has no rule for purpose "%"', relation, purpose
            USING ERRCODE = 'undefined_object',
                  HINT = 'privacy_guard.rules lists the rules. One of a purpose above may reach down.';
    END IF;
END $$;
COMMENT ON FUNCTION privacy_guard_internal.drop_rule(regclass, text) IS
    'Removes what permit() and prohibit() said of this purpose on this table. Errors: 22004, 42704, 55000.';
CALL privacy_guard_internal.publish('drop_rule', 'steward');

-- ---- monitor mode ----

CREATE FUNCTION privacy_guard_internal.report_read(OUT role oid, OUT purpose_id integer, OUT relation oid,
    OUT fingerprint bigint, OUT reason text, OUT monitored boolean, OUT statements bigint, OUT rows bigint,
    OUT first_seen timestamptz, OUT last_seen timestamptz) RETURNS SETOF record
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'report_read';
COMMENT ON FUNCTION privacy_guard_internal.report_read() IS 'The counters of this database in shared memory.';

CREATE FUNCTION privacy_guard.enforcement_report(relation regclass DEFAULT NULL, role regrole DEFAULT NULL)
    RETURNS TABLE (table_name regclass, role_name regrole, purpose text, reason text, monitored boolean,
                   fingerprint bigint, statements bigint, rows bigint, first_seen timestamptz, last_seen timestamptz)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.relation::regclass, c.role::regrole, p.path, c.reason, c.monitored, c.fingerprint,
           c.statements, c.rows, c.first_seen, c.last_seen
      FROM privacy_guard_internal.report_read() c LEFT JOIN privacy_guard.purpose p USING (purpose_id)
     WHERE (enforcement_report.relation IS NULL OR c.relation = enforcement_report.relation)
       AND (enforcement_report.role IS NULL OR c.role = enforcement_report.role)
     ORDER BY 1, 2, 3, 4 $$;
COMMENT ON FUNCTION privacy_guard.enforcement_report(regclass, regrole) IS
    'What was withheld since the server started and, where monitored, what would have been: statements and rows by table, role, purpose, reason and statement fingerprint (pg_stat_statements.queryid).';

CREATE FUNCTION privacy_guard_internal.report_reset() RETURNS void
    LANGUAGE C VOLATILE AS 'MODULE_PATHNAME', 'report_reset';
COMMENT ON FUNCTION privacy_guard_internal.report_reset() IS 'Forgets the counters of this database.';

CREATE FUNCTION privacy_guard_internal.reset_enforcement_report() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT privacy_guard_internal.report_reset() $$;
COMMENT ON FUNCTION privacy_guard_internal.reset_enforcement_report() IS
    'Starts enforcement_report() of this database afresh.';
CALL privacy_guard_internal.publish('reset_enforcement_report', 'steward');
