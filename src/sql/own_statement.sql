-- Statements of the extension on guarded tables, run as their owners: see src/retention/.

CREATE FUNCTION privacy_guard_internal.run_as_owner(relation regclass, statement text, VARIADIC arguments text[])
    RETURNS jsonb
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'own_statement_run_as_owner';
COMMENT ON FUNCTION privacy_guard_internal.run_as_owner(regclass, text, text[]) IS
    'Runs a statement as the owner of a guarded table, past the guard, with the arguments as $1 and so on; returns its one jsonb. Errors: 55000 where it would run somebody''s code as superuser.';

CREATE FUNCTION privacy_guard_internal.runs_foreign_code(relation regclass, event text) RETURNS boolean
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'owner_code_runs_foreign';
COMMENT ON FUNCTION privacy_guard_internal.runs_foreign_code(regclass, text) IS
    'Whether a DELETE or UPDATE of the table would run somebody''s trigger or expression as a superuser, there or where it cascades to.';

CREATE FUNCTION privacy_guard_internal.erase_batch(
    relation regclass, member regclass, plan text, statement text, arguments text[],
    OUT ready boolean, OUT rows bigint, OUT first_start timestamptz, OUT last_start timestamptz,
    OUT subjects privacy_guard.subject_set, OUT unnumbered bigint, OUT withheld bigint)
    LANGUAGE C AS 'MODULE_PATHNAME', 'erase_batch';
COMMENT ON FUNCTION privacy_guard_internal.erase_batch(regclass, regclass, text, text, text[]) IS
    'Runs a statement that erases rows of a guarded table, as its owner; held and restricted rows do not pass. Its plan is kept under the name; without a statement, and without such a plan, it is not ready. ready is null where the member is no part of the table any more.';

CREATE FUNCTION privacy_guard_internal.erase_whole(
    relation regclass, member regclass, statement text,
    OUT ready boolean, OUT rows bigint, OUT first_start timestamptz, OUT last_start timestamptz,
    OUT subjects privacy_guard.subject_set, OUT unnumbered bigint, OUT withheld bigint)
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'erase_whole';
COMMENT ON FUNCTION privacy_guard_internal.erase_whole(regclass, regclass, text) IS
    'What a partition holds that is about to go as a whole: the statement selects all its rows.';

CREATE FUNCTION privacy_guard_internal.erase_pick(relation regclass, member regclass, statement text, VARIADIC arguments text[])
    RETURNS jsonb
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'erase_pick';
COMMENT ON FUNCTION privacy_guard_internal.erase_pick(regclass, regclass, text, text[]) IS
    'As run_as_owner(), but of the guarded table itself the statement sees only what may be erased.';

CREATE FUNCTION privacy_guard_internal.erase_claim(relation regclass) RETURNS boolean
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'erase_claim';
COMMENT ON FUNCTION privacy_guard_internal.erase_claim(regclass) IS
    'Keeps other sessions from erasing rows of the table until the end of the transaction; false where one does already.';

CREATE FUNCTION privacy_guard_internal.erase_rule_checked(run uuid) RETURNS void
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'erase_rule_checked';
COMMENT ON FUNCTION privacy_guard_internal.erase_rule_checked(uuid) IS
    'Remembers that what is due for a run has been worked out by the rules as they are now.';

CREATE FUNCTION privacy_guard_internal.erase_rule_holds(run uuid) RETURNS boolean
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'erase_rule_holds';
COMMENT ON FUNCTION privacy_guard_internal.erase_rule_holds(uuid) IS
    'Whether that was a moment ago, and no rule, hold or mode has changed since.';
