-- Who saw whose data, as auditors are told: records as bytes, then from the statement to the answer.
-- Crafted and damaged logs, and who may not read them: test/t/020_audit_read.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
SET timezone = 'UTC';

-- Records as CBOR in hex, blanks for the reader.
CREATE FUNCTION regress_decode(VARIADIC records text[]) RETURNS SETOF privacy_guard_internal.log_record LANGUAGE sql AS $$
    SELECT d.* FROM privacy_guard_internal.audit_decode((
        SELECT string_agg(int4send(length(b)) || b, '' ORDER BY n)
          FROM unnest(records) WITH ORDINALITY r (hex, n), decode(replace(hex, ' ', ''), 'hex') b), 100) d $$;
\set time '02 1b0006474846204000'
\set record 'a8 0101 ' :time ' 05 63617070 12 82 626964 646e616d65 14 20 15 02 17 01 1821 82 07 191267'
SELECT leaf_index, kind, recorded_at, session_role, columns, fingerprint, rows, outcome, subjects,
       record = decode(replace(:'record', ' ', ''), 'hex') AS whole
  FROM regress_decode(:'record');

-- What is asked for
CREATE FUNCTION regress_framed(hex text) RETURNS bytea LANGUAGE sql AS $$
    SELECT int4send(length(b)) || b FROM decode(replace(hex, ' ', ''), 'hex') b $$;
SELECT t.*, (SELECT count(*) FROM privacy_guard_internal.audit_decode(regress_framed(:'record'), 0, t.subject, t.since, t.until,
                                                                     t.kinds, t.actor, t.session)) AS found
  FROM (VALUES (7::bigint, NULL::timestamptz, NULL::timestamptz, NULL::int, NULL::text, NULL::text),
               (4711, NULL, NULL, NULL, NULL, NULL), (8, NULL, NULL, NULL, NULL, NULL), (0, NULL, NULL, NULL, NULL, NULL),
               (-7, NULL, NULL, NULL, NULL, NULL),
               (NULL, '2026-01-01', NULL, NULL, NULL, NULL), (NULL, '2026-01-01 00:00:00.000001', NULL, NULL, NULL, NULL),
               (NULL, NULL, '2026-01-01', NULL, NULL, NULL), (NULL, NULL, '2026-01-01 00:00:00.000001', NULL, NULL, NULL),
               (NULL, '-infinity', 'infinity', NULL, NULL, NULL), (NULL, 'infinity', NULL, NULL, NULL, NULL),
               (NULL, NULL, '-infinity', NULL, NULL, NULL), (NULL, '294276-12-31', NULL, NULL, NULL, NULL),
               (NULL, NULL, NULL, 2, NULL, NULL), (NULL, NULL, NULL, 4, NULL, NULL), (NULL, NULL, NULL, 0, NULL, NULL),
               (NULL, NULL, NULL, NULL, 'app', NULL), (NULL, NULL, NULL, NULL, 'ap', NULL), (NULL, NULL, NULL, NULL, '', NULL),
               (NULL, NULL, NULL, NULL, NULL, 'x')) t (subject, since, until, kinds, actor, session);
SELECT count(*) FROM privacy_guard_internal.audit_decode(NULL, 0);
SELECT count(*) FROM privacy_guard_internal.audit_decode('', 0);
SELECT count(*) FROM privacy_guard_internal.audit_decode(regress_framed(:'record'), NULL);
SELECT origin_id, leaf_index FROM privacy_guard_internal.audit_decode(regress_framed(:'record'), 9223372036854775807, origin_id => 3);

-- What cannot be read is shown as it is, and hides nothing behind it
SELECT b.what, d.leaf_index, d.kind, d.record IS NOT NULL AS shown FROM (VALUES
    (1, 'nothing', ''),
    (2, 'no map', '01'),
    (3, 'no time', 'a1 0101'),
    (4, 'more than was counted', 'a2 0101 ' || :'time' || ' 00'),
    (5, 'less than was counted', 'a3 0101 ' || :'time'),
    (6, 'endless', 'bf 0101 ' || :'time' || ' ff'),
    (7, 'keys that descend', 'a2 ' || :'time' || ' 0101'),
    (8, 'a key twice', 'a3 0101 0101 ' || :'time'),
    (9, 'an unknown key', 'a3 0101 ' || :'time' || ' 182200'),
    (10, 'a number in a longer form', 'a2 011801 ' || :'time'),
    (11, 'an unknown kind', 'a2 010c ' || :'time'),
    (12, 'kind 0', 'a2 0100 ' || :'time'),
    (13, 'an unknown outcome', 'a3 0101 ' || :'time' || ' 1705'),
    (14, 'a time that is none', 'a2 0101 021bffffffffffffffff'),
    (33, 'a time before all', 'a2 0101 023b7fffffffffffffff'),
    (15, 'a text for a number', 'a3 0101 ' || :'time' || ' 156131'),
    (16, 'a number for a text', 'a3 0101 ' || :'time' || ' 0501'),
    (17, 'a text that is too long', 'a3 0101 ' || :'time' || ' 057b7fffffffffffffff61'),
    (18, 'no UTF-8', 'a3 0101 ' || :'time' || ' 0561ff'),
    (19, 'a zero byte', 'a3 0101 ' || :'time' || ' 056100'),
    (20, 'numbers for texts', 'a3 0101 ' || :'time' || ' 128101'),
    (21, 'a number for an array', 'a3 0101 ' || :'time' || ' 1201'),
    (22, 'an array that is too long', 'a3 0101 ' || :'time' || ' 129b7fffffffffffffff'),
    (23, 'texts for subjects', 'a3 0101 ' || :'time' || ' 1821816131'),
    (24, 'subject 0', 'a3 0101 ' || :'time' || ' 18218100'),
    (25, 'a subject that is too large', 'a3 0101 ' || :'time' || ' 1821811bffffffffffffffff'),
    (26, 'no set', 'a3 0101 ' || :'time' || ' 18214100'),
    (27, 'no JSON', 'a3 0101 ' || :'time' || ' 181c617b'),
    (28, 'a number that is too large', 'a3 0101 ' || :'time' || ' 181c68' || encode('1e400000', 'hex')),
    (29, 'JSON that is too deep', 'a3 0101 ' || :'time' || ' 181c7a00100000' || repeat('5b', 1048576)),
    (30, 'too many rows', 'a3 0101 ' || :'time' || ' 151bffffffffffffffff'),
    (31, 'a pid that is too large', 'a3 0101 ' || :'time' || ' 0a1a80000000'),
    (32, 'nested', 'a3 0101 ' || :'time' || ' 05a10101')) b (n, what, hex)
 CROSS JOIN LATERAL regress_decode(b.hex, :'record') d WHERE d.kind <> 'access' ORDER BY b.n;
-- a length that leads nowhere ends the segment
SELECT leaf_index, kind, length(record) FROM privacy_guard_internal.audit_decode(regress_framed(:'record') || '\x7fffffff00', 0);
SELECT leaf_index, kind, length(record) FROM privacy_guard_internal.audit_decode(regress_framed(:'record') || '\x0000', 0);
-- each beginning of a record
SELECT d.kind, count(*) FROM generate_series(0, length(decode(replace(:'record', ' ', ''), 'hex')) - 1) n
 CROSS JOIN LATERAL regress_decode(encode(substr(decode(replace(:'record', ' ', ''), 'hex'), 1, n), 'hex')) d GROUP BY 1;

-- From the statement to the answer
SET client_min_messages = warning;
CREATE ROLE regress_reader;
CREATE ROLE regress_other;
GRANT privacy_guard_auditor TO CURRENT_USER;
CREATE TABLE regress_people (id int PRIMARY KEY, name text);
INSERT INTO regress_people SELECT g, 'name ' || g FROM generate_series(1, 9) g;
GRANT ALL ON regress_people TO regress_reader, regress_other;
SELECT privacy_guard.create_purpose('regress_read', 'contract') \g /dev/null
SELECT privacy_guard.protect('regress_people', subject_column => 'id', subject_category => 'regress_person') \g /dev/null
SELECT privacy_guard.permit('regress_people', 'regress_read') \g /dev/null
SELECT privacy_guard.grant_purpose('regress_read', 'regress_reader') \g /dev/null
RESET client_min_messages;
SELECT clock_timestamp() AS began \gset
SET ROLE regress_reader;
BEGIN;
SET LOCAL privacy_guard.purpose = 'regress_read';
SET LOCAL privacy_guard.application_user = 'alice';
SELECT name FROM regress_people WHERE id IN (1, 2);
COMMIT;
BEGIN;
SET LOCAL privacy_guard.purpose = 'regress_read';
SELECT count(*) FROM regress_people WHERE id = 3;
UPDATE regress_people SET name = 'other' WHERE id = 1;
ROLLBACK;
SET ROLE regress_other;
BEGIN;
SET LOCAL privacy_guard.purpose = 'regress_read';
SELECT * FROM regress_people;
ROLLBACK;
RESET ROLE;
SELECT role, application_user, purpose, legal_basis, operation, relation, columns, rows, outcome, statement
  FROM privacy_guard.accesses_to('1', 'regress_person', since => :'began');
SELECT role, operation, outcome FROM privacy_guard.accesses_to('3', 'regress_person', since => :'began');
SELECT * FROM privacy_guard.accesses_to('4', 'regress_person');
SELECT * FROM privacy_guard.accesses_to('4711', 'regress_person');
SELECT role, operation, rows, privacy_guard.cardinality(subjects) AS subjects, outcome
  FROM privacy_guard.accesses_by('regress_reader', since => :'began');
SELECT role, rows FROM privacy_guard.accesses_by('alice', since => :'began');
SELECT role, purpose, relation, sqlstate, reason, count FROM privacy_guard.denials(since => :'began');
SELECT DISTINCT object, session_role = session_user AS by_me, privacy_guard.cardinality(subjects) AS subjects
  FROM privacy_guard.audit_records(since => :'began', kinds => '{read}') ORDER BY 1;
SELECT state, until IS NULL AS still FROM privacy_guard.protection_intervals WHERE relation = 'public.regress_people' ORDER BY since;
SELECT privacy_guard.set_mode('regress_people', 'monitor') \g /dev/null
SELECT privacy_guard.set_mode('regress_people', 'enforce', 'regress_other') \g /dev/null
SELECT privacy_guard.unprotect('regress_people') \g /dev/null
SELECT role, state, until IS NULL AS still FROM privacy_guard.protection_intervals WHERE relation = 'public.regress_people' ORDER BY since, role;
-- but the tables themselves are not for auditors
\set VERBOSITY sqlstate
SELECT * FROM privacy_guard.audit_segment;
COPY privacy_guard.audit_statement TO STDOUT;
\set VERBOSITY default
SELECT count(*) > 5 FROM privacy_guard.audit_log WHERE recorded_at >= :'began';

SET client_min_messages = warning;
SELECT privacy_guard.revoke_purpose('regress_read', 'regress_reader') \g /dev/null
SELECT privacy_guard.drop_purpose('regress_read') \g /dev/null
DROP TABLE regress_people;
DROP FUNCTION regress_decode(text[]), regress_framed(text);
DROP ROLE regress_reader, regress_other;
