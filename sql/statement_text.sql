-- What is kept of the text of a statement: never a literal. Whatever must not be kept says "secret".
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.kept(statement text) RETURNS text LANGUAGE sql RETURN privacy_guard.normalise_statement(statement);
-- Every kind of literal
SELECT pg_temp.kept($a$SELECT 'secret', E'secret\'s', E'\x73\u0065cret', U&'\0073ecret', U&'!0073ecret' UESCAPE '!', n'secret', B'1010', X'1F', 42, 4.2, .5, 5., 6.02e+23, $$secret$$, $x$ $$secret$$ $x$$a$);
SELECT pg_temp.kept($a$SELECT 'secret'
                              ' and secret', 'it''s secret', '', ''''$a$);
SELECT pg_temp.kept('SELECT 123456789012345678901234567890123456789012345678901234567890.1');
SELECT pg_temp.kept($a$SELECT date '2001-01-01', interval '1' day, int '42', '{secret}'::text[], json '{"secret": 1}' -> 'secret'$a$);
-- A sign belongs to its number; an operator does not
SELECT pg_temp.kept('SELECT -5, a - 5, -a, a = -5, (-5), b[-1], - -5, +7, a -5, 3-5, a.b-1 FROM t WHERE a BETWEEN -5 AND - 6 AND NOT -1 < a');
-- Names, operators and parameters stay
SELECT pg_temp.kept('SELECT "Na""me", U&"n\0061me", nämé, 名前, t.*, count(*), a@>b, a !=b, x::int, f(y=>1), f(z:=2), $1, $2::text, a[1:2], j ? $3 FROM "S".t');
SELECT pg_temp.kept('select');
-- Comments and space go
SELECT pg_temp.kept(E'SELECT/* secret /* nested secret */ */a -- secret\n ,\tb\r\n  FROM   t;;\n-- secret');
SELECT pg_temp.kept('SELECT f (a ,b) , g( c ) [ 1 ] . d , count (*) FROM t') = pg_temp.kept('SELECT f (a,b),g(c) [1].d,count (*) FROM t');
-- Lists do not grow
SELECT pg_temp.kept('SELECT a IN (1, 2, 3), b IN (''x''), c IN (-1, +2, - 3.0), d = ANY (ARRAY[1, 2]), e IN ($1, $2), f(1, 2 + 3), g(1 + 1, 2 + 2, 3 + 3, x)');
SELECT pg_temp.kept('INSERT INTO t VALUES (1, ''a'', NULL, now()), (2, ''b'', NULL, now()), (3, ''c'', NULL, now()), (4, ''d'', DEFAULT, now())');
SELECT pg_temp.kept('SELECT a IN (' || string_agg(i || '::bigint', ', ') || ')') FROM generate_series(1, 5000) i;
SELECT pg_temp.kept('SELECT ((((1, 2), (3, 4)), ((1, 2), (3, 4)))), ' || repeat('(', 100) || '1, 2' || repeat(')', 100));
-- Several statements; each counts its lists by itself
SELECT pg_temp.kept('SELECT 1; SELECT 1; INSERT INTO t VALUES (1); COPY t (a, b) FROM STDIN (DELIMITER '';'')');
-- Bodies and options are literals
SELECT pg_temp.kept($a$DO $body$ BEGIN RAISE NOTICE 'secret'; END $body$ LANGUAGE plpgsql; CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''secret'''; ALTER ROLE r PASSWORD 'secret'; COPY t TO PROGRAM 'secret'; EXECUTE p('secret'); COMMENT ON TABLE t IS 'secret'$a$);
-- Long texts end after a token
SELECT length(k), left(k, 30), right(k, 30) FROM pg_temp.kept('SELECT ' || (SELECT string_agg('column_' || i, ', ') FROM generate_series(1, 5000) i)) k;
SELECT pg_temp.kept('INSERT INTO t VALUES (''' || repeat('secret ', 100000) || ''')');
SELECT pg_temp.kept('SELECT ''' || repeat('secret ', 10000) || ''', a');
SELECT pg_temp.kept('SELECT a, "' || repeat('n', 9000) || '"');
SELECT pg_temp.kept('SELECT a ' || repeat(' ', 300000) || ', ''secret''');
SELECT pg_temp.kept('SELECT a /* ' || repeat('secret ', 100000) || '*/');
-- A long name was told of when the statement was parsed
SELECT length(pg_temp.kept('SELECT ' || repeat('n', 100)));
-- What cannot be read is not kept, and is no error
SELECT statement, pg_temp.kept(statement) FROM unnest(ARRAY[
    '', ' ', ';', '-- secret', '/* secret', 'SELECT ''secret', 'SELECT "secret', 'SELECT $$secret', 'SELECT $a$secret$b$', 'SELECT E''secret\''',
    'SELECT X''secret', 'SELECT 1secret', 'SELECT 1.5esecret', 'SELECT E''\uD800 secret''', 'SELECT E''\u00zz secret''', 'SELECT U&"secret', 'SELECT ""', 'SELECT E''\xff secret''', 'SELECT $1secret']) statement;
-- Every other piece of junk without a literal is told as it is
SELECT pg_temp.kept('SELEKT )) ] , , ( [ ; ) \ @ # ` ~ ...');
-- What a backslash is depends on a setting, which may have been another when the statement was parsed
SELECT statement, pg_temp.kept(statement) FROM unnest(ARRAY[
    'SELECT ''a\d+''', 'SELECT ''\'', 1', 'SELECT ''a\'' secret \'' b''', 'SELECT ''\'', '' secret ''', 'SELECT ''\\'', '' secret ''', 'SELECT ''secret\''s'', a', 'SELECT E''\'''', a', '\ a']) statement;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET backslash_quote = off;
SELECT pg_temp.kept(E'SELECT ''secret\\''s'', a');
SELECT pg_temp.kept(E'SELECT ''a\\'' secret \\'' b''');
SELECT pg_temp.kept(E'SELECT U&''\\0073ecret'', a');
RESET standard_conforming_strings;
RESET escape_string_warning;
RESET backslash_quote;
-- It tells nothing, so everyone may ask; NULL has none
SELECT has_function_privilege('pg_monitor', 'privacy_guard.normalise_statement(text)', 'EXECUTE'), privacy_guard.normalise_statement(NULL) IS NULL;
