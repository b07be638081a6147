-- What the audit log keeps of the text of a statement.

CREATE FUNCTION privacy_guard.normalise_statement(statement text) RETURNS text
    AS 'MODULE_PATHNAME', 'normalise_statement' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.normalise_statement(text) IS
    'The text of a statement as the audit log would keep it: each literal becomes ?, comments and needless space go. Source: src/audit/normalise.c.';
