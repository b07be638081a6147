-- privacy_guard.consent: forms, rules, operators, indexes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
CREATE SCHEMA consent_type;
SET search_path = consent_type, privacy_guard, public;
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German, DMY';

-- Text: canonical whatever the input order, spaces, zone and settings.
SELECT '{}'::consent, ' { } '::consent;
SELECT '{marketing.email: given 2026-01-01T00:00:00Z until 2027-01-01T00:00:00Z}'::consent;
SELECT $$ {
    marketing.email/sms@acme-eu : withdrawn implied v32767 2026-03-01T05:30:00.120+05:30 ,
	marketing:renewed explicitly_expressed 2026-01-01T00:00:00.000001Z until infinity,
    marketing.email@acme: requested v1 2026-01-01T00:00:00-01,
    marketing.email: refused v2 0001-01-01T00:00:00Z until 9999-12-31T23:59:59.999999Z
} $$::consent AS canonical \gset
SELECT :'canonical';
SELECT :'canonical'::consent::text = :'canonical';

-- Malformed text is 22P02 and never quoted.
SELECT '{marketing: given expressed secret}'::consent;
SELECT '{a/x: given 2026-01-01T00:00:00Z, a/x: withdrawn 2026-01-02T00:00:00Z}'::consent;
\set VERBOSITY sqlstate
SELECT ''::consent;
SELECT '{'::consent;
SELECT '{}}'::consent;
SELECT '{,}'::consent;
SELECT '{a: given 2026-01-01T00:00:00Z,}'::consent;
SELECT '{A: given 2026-01-01T00:00:00Z}'::consent;
SELECT '{a.: given 2026-01-01T00:00:00Z}'::consent;
SELECT '{a-b: given 2026-01-01T00:00:00Z}'::consent;
SELECT '{ä: given 2026-01-01T00:00:00Z}'::consent;
SELECT '{a/: given 2026-01-01T00:00:00Z}'::consent;
SELECT '{a@: given 2026-01-01T00:00:00Z}'::consent;
SELECT '{a/b.c: given 2026-01-01T00:00:00Z}'::consent;
SELECT '{a@b/c: given 2026-01-01T00:00:00Z}'::consent;
SELECT '{a given 2026-01-01T00:00:00Z}'::consent;
SELECT '{a: granted 2026-01-01T00:00:00Z}'::consent;
SELECT '{a: given sealed 2026-01-01T00:00:00Z}'::consent;
SELECT '{a: given v0 2026-01-01T00:00:00Z}'::consent;
SELECT '{a: given v01 2026-01-01T00:00:00Z}'::consent;
SELECT '{a: given v32768 2026-01-01T00:00:00Z}'::consent;
SELECT '{a: given now}'::consent;
SELECT '{a: given infinity}'::consent;
SELECT '{a: given 2026-01-01}'::consent;
SELECT '{a: given 2026-01-01T00:00:00}'::consent;
SELECT '{a: given 2026-02-29T00:00:00Z}'::consent;
SELECT '{a: given 2026-01-01T24:00:00Z}'::consent;
SELECT '{a: given 2026-01-01T00:00:60Z}'::consent;
SELECT '{a: given 2026-01-01T00:00:00.Z}'::consent;
SELECT '{a: given 2026-01-01T00:00:00.1234567Z}'::consent;
SELECT '{a: given 0000-12-31T23:59:59Z}'::consent;
SELECT '{a: given 0001-01-01T00:00:00+00:01}'::consent;
SELECT '{a: given 9999-12-31T23:59:59-00:01}'::consent;
SELECT '{a: given 2026-01-01T00:00:00Z until}'::consent;
SELECT '{a: given 2026-01-01T00:00:00Z until -infinity}'::consent;
SELECT '{a: given 2026-01-01T00:00:00Z until 2027-01-01T00:00:00Z until infinity}'::consent;
SELECT ('{' || repeat('a', 64) || ': given 2026-01-01T00:00:00Z}')::consent;
SELECT ('{a' || repeat('.a', 16) || ': given 2026-01-01T00:00:00Z}')::consent;
\set VERBOSITY default
-- The longest that is allowed.
SELECT length(('{' || repeat(repeat('a', 63) || '.', 3) || repeat('a', 63) || '/' || repeat('c', 63) || '@' ||
               repeat('r', 63) || ': given v32767 2026-01-01T00:00:00Z}')::consent::text);
SELECT ('{a' || repeat('.a', 15) || ': given 2026-01-01T00:00:00Z}')::consent IS NOT NULL;

-- The constructor, and rows.
SELECT consent(purpose => 'a', event_time => '2026-01-01Z');
SELECT consent('a.b', 'withdrawn', 'implied', '2026-01-01Z', 'infinity', 'e-mail', 'acme', 7::smallint);
SELECT consent(purpose => 'a', valid_until => '2027-01-01Z', event_time => '2026-01-01Z', channel => 'post');
SELECT consent(purpose => 'a') ? 'a' AS given_now, consent('a', 'refused') ? 'a' AS refused_now;
SELECT consent(purpose => NULL) IS NULL AND consent('a', NULL) IS NULL AND consent('a', 'given', NULL) IS NULL
       AND consent(purpose => 'a', event_time => NULL) IS NULL AS nulls;
SELECT consent(purpose => 'A');
SELECT consent(purpose => 'a', channel => '');
SELECT consent(purpose => 'a', recipient => 'b.c');
SELECT consent(purpose => 'a', event_time => 'infinity');
SELECT consent(purpose => 'a', event_time => '0001-01-01Z BC');
SELECT consent(purpose => 'a', valid_until => '-infinity');
SELECT consent(purpose => 'a', version => 0::smallint);
SET DateStyle = 'ISO';
SET TimeZone = 'UTC';
SELECT * FROM decisions(:'canonical');
SELECT count(*) FROM decisions('{}');
SELECT consent_agg(consent(purpose, status, consent_type, event_time, valid_until, channel, recipient, version))::text
       = :'canonical' AS rebuilt FROM decisions(:'canonical');

-- is_permitted: status, type, time.
CREATE FUNCTION permits(consent text, purpose text, at text) RETURNS boolean LANGUAGE sql AS
    $$ SELECT privacy_guard.is_permitted($1::privacy_guard.consent, $2, $3::timestamptz) $$;
SELECT status, permits(format('{a: %s 2026-01-01T00:00:00Z}', status), 'a', '2026-06-01Z')
    FROM unnest(enum_range(NULL::consent_status)) AS status;
SELECT kind, permits(format('{a: given %s 2026-01-01T00:00:00Z}', kind), 'a', '2026-06-01Z')
    FROM unnest(enum_range(NULL::consent_type)) AS kind;
SELECT at, permits('{a: given 2026-01-01T00:00:00Z until 2026-01-02T00:00:00Z}', 'a', at)
    FROM unnest(ARRAY['2025-12-31 23:59:59.999999Z', '2026-01-01Z', '2026-01-01 23:59:59.999999Z', '2026-01-02Z',
                      '-infinity', 'infinity']) AS at;
-- Any version; exactly this purpose; the base decision alone.
SELECT permits('{a: given v9 2026-01-01T00:00:00Z}', 'a', '2026-06-01Z') AS version,
       permits('{a: given 2026-01-01T00:00:00Z}', 'a.b', '2026-06-01Z') AS below,
       permits('{a.b: given 2026-01-01T00:00:00Z}', 'a', '2026-06-01Z') AS above,
       permits('{a/sms: given 2026-01-01T00:00:00Z}', 'a', '2026-06-01Z') AS channel,
       permits('{a@acme: given 2026-01-01T00:00:00Z}', 'a', '2026-06-01Z') AS recipient,
       permits('{a: given 2026-01-01T00:00:00Z, a/sms: withdrawn 2026-01-02T00:00:00Z}', 'a', '2026-06-01Z') AS base;
-- A refusal reaches down, and only to what is not newer.
SELECT status, permits(format('{a.b.c: given 2026-01-02T00:00:00Z, a: %s 2026-01-03T00:00:00Z}', status), 'a.b.c', '2026-06-01Z') AS older,
       permits(format('{a.b.c: given 2026-01-02T00:00:00Z, a.b: %s 2026-01-02T00:00:00Z}', status), 'a.b.c', '2026-06-01Z') AS same_time,
       permits(format('{a.b.c: given 2026-01-02T00:00:00Z, a: %s 2026-01-01T00:00:00Z}', status), 'a.b.c', '2026-06-01Z') AS newer
    FROM unnest(enum_range(NULL::consent_status)) AS status;
SELECT permits('{a.b: given 2026-01-01T00:00:00Z, a.c: withdrawn 2026-01-02T00:00:00Z, ab: withdrawn 2026-01-02T00:00:00Z, a/sms: withdrawn 2026-01-02T00:00:00Z}',
               'a.b', '2026-06-01Z') AS siblings_do_not_count,
       permits('{a.b: given 2026-01-01T00:00:00Z, a: withdrawn 2027-01-01T00:00:00Z}', 'a.b', '2026-06-01Z')
           AS a_clock_ahead_does_not_delay;
SELECT is_permitted(NULL, 'a') IS NULL AND is_permitted('{}', NULL) IS NULL AS nulls, '{}'::consent ? 'a' AS empty;
SELECT '{}'::consent ? 'no such purpose';
SELECT p.provolatile, p.proisstrict, p.proparallel FROM pg_proc p
    WHERE oid IN ('is_permitted'::regproc, 'consent_permits_now'::regproc) ORDER BY 1;

-- Operators.
SELECT :'canonical'::consent @> '{}' AS "@> {}", '{}'::consent <@ :'canonical' AS "{} <@",
       :'canonical'::consent @> :'canonical' AS "@> self",
       '{a: given 2026-01-01T00:00:00Z, b: given 2026-01-01T00:00:00Z}'::consent @> '{b: given 2026-01-01T00:00:00Z}' AS part,
       '{a: given 2026-01-01T00:00:00Z, b: given 2026-01-01T00:00:00Z}'::consent @> '{b: given v2 2026-01-01T00:00:00Z}' AS other,
       '{b: given 2026-01-01T00:00:00Z}'::consent @> '{a: given 2026-01-01T00:00:00Z, b: given 2026-01-01T00:00:00Z}' AS more;
SELECT '{a: given 2026-01-01T00:00:00Z}'::consent && '{a: refused 2025-01-01T00:00:00Z}' AS same_key,
       '{a: given 2026-01-01T00:00:00Z}'::consent && '{a/sms: given 2026-01-01T00:00:00Z}' AS other_channel,
       '{a: given 2026-01-01T00:00:00Z}'::consent && '{}' AS empty;
SELECT '{a: given 2026-01-01T00:00:00Z, b: given 2026-01-01T00:00:00Z}'::consent
       || '{a: withdrawn 2026-01-02T00:00:00Z, b: withdrawn 2025-12-31T00:00:00Z, c: given 2026-01-01T00:00:00Z}' AS merged;
SELECT a, b, a || b AS merged, (a || b) = (b || a) AS either_way FROM (VALUES
    ('{a: given 2026-01-01T00:00:00Z}'::consent, '{a: withdrawn 2026-01-01T00:00:00Z}'::consent),
    ('{a: given 2026-01-01T00:00:00Z}', '{a: requested 2026-01-01T00:00:00Z}'),
    ('{a: given 2026-01-01T00:00:00Z}', '{a: given implied 2026-01-01T00:00:00Z}'),
    ('{a: given 2026-01-01T00:00:00Z}', '{a: given 2026-01-01T00:00:00Z until 2027-01-01T00:00:00Z}')) AS v (a, b);
SELECT '{a: given 2026-01-01T00:00:00Z, a.b: given 2026-01-01T00:00:00Z, a/sms: given 2026-01-01T00:00:00Z}'::consent - 'a';
SELECT '{}'::consent - 'A';
SELECT '{}'::consent - 'a' AS nothing, '{}'::consent - NULL IS NULL AS "null";
SELECT c FROM (VALUES ('{b: given 2026-01-01T00:00:00Z}'::consent), ('{}'), ('{a: given 2026-01-02T00:00:00Z}'),
    ('{a: given 2026-01-01T00:00:00Z, b: given 2026-01-01T00:00:00Z}'), ('{a: given 2026-01-01T00:00:00Z}')) AS v (c) ORDER BY c;
SELECT '{}'::consent = '{}', '{}'::consent <> '{a: given 2026-01-01T00:00:00Z}', '{}'::consent < '{a: given 2026-01-01T00:00:00Z}',
       consent_hash('{}') = consent_hash(' {}'), consent_hash_extended('{}', 0) = consent_hash_extended('{ }', 0);

-- jsonb.
SELECT jsonb_pretty(:'canonical'::consent::jsonb -> 3);
SELECT :'canonical'::consent::jsonb::consent::text = :'canonical' AS same, '{}'::consent::jsonb, '[]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "2026-01-01T00:00:00+01:00", "channel": null,
          "recipient": null, "consent_type": null, "valid_until": "infinity", "version": null}]'::jsonb::consent;
SELECT '{}'::jsonb::consent;
\set VERBOSITY sqlstate
SELECT 'null'::jsonb::consent;
SELECT '"a"'::jsonb::consent;
SELECT '[1]'::jsonb::consent;
SELECT '[[]]'::jsonb::consent;
SELECT '[{}]'::jsonb::consent;
SELECT '[{"purpose": null, "event_state": "given", "event_time": "2026-01-01T00:00:00Z"}]'::jsonb::consent;
SELECT '[{"purpose": "a b", "event_state": "given", "event_time": "2026-01-01T00:00:00Z"}]'::jsonb::consent;
SELECT '[{"purpose": {"a": 1}, "event_state": "given", "event_time": "2026-01-01T00:00:00Z"}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "Given", "event_time": "2026-01-01T00:00:00Z"}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "2026-01-01"}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": 1}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "infinity"}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "2026-01-01T00:00:00Z", "version": 0}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "2026-01-01T00:00:00Z", "version": 1.5}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "2026-01-01T00:00:00Z", "version": 1e400}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "2026-01-01T00:00:00Z", "version": "1"}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "2026-01-01T00:00:00Z", "note": null}]'::jsonb::consent;
SELECT '[{"purpose": "a", "event_state": "given", "event_time": "2026-01-01T00:00:00Z"},
         {"purpose": "a", "event_state": "given", "event_time": "2026-01-01T00:00:00Z"}]'::jsonb::consent;
\set VERBOSITY default

-- A table: 5,000 decisions in one value (toasted), binary COPY, indexes.
CREATE TABLE subject (id int PRIMARY KEY, consent consent DEFAULT '{}');
INSERT INTO subject VALUES (0, DEFAULT), (1, :'canonical'), (3, NULL);
INSERT INTO subject SELECT 2, consent_agg(consent('p' || n || '.x', CASE WHEN n % 2 = 0 THEN 'given'::consent_status ELSE 'withdrawn' END,
        event_time => '2026-01-01Z'::timestamptz + n * interval '1 second')) FROM generate_series(1, 5000) AS n;
INSERT INTO subject SELECT 100 + n, consent('purpose_' || n % 50, event_time => '2026-01-01Z') FROM generate_series(1, 2000) AS n;
SELECT count(*) FROM subject, decisions(consent) WHERE id = 2;
SELECT pg_column_size(consent) < length(consent::text) / 3 AS compact, consent = consent::text::consent AS text, consent = consent::jsonb::consent AS json,
       consent ? 'p5000.x' AS "even", consent ? 'p4999.x' AS "odd", consent ? 'p5001.x' AS missing FROM subject WHERE id = 2;
CREATE FUNCTION copy_both_ways() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    file text := current_setting('data_directory') || '/copy_both_ways_' || pg_backend_pid();
BEGIN
    CREATE TABLE copied (LIKE subject);
    EXECUTE format('COPY subject TO %L (FORMAT binary)', file);
    EXECUTE format('COPY copied FROM PROGRAM %L (FORMAT binary)', format('cat "%1$s" && rm "%1$s"', file));
END $$;
SELECT copy_both_ways();
SELECT count(*), bool_and(copied.consent IS NOT DISTINCT FROM subject.consent) AS same FROM subject JOIN copied USING (id);
CREATE INDEX subject_gin ON subject USING gin (consent);
CREATE INDEX subject_btree ON copied (consent) WHERE id <> 2;
CREATE INDEX subject_hash ON copied USING hash (consent);
ANALYZE subject, copied;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM subject WHERE consent ? 'purpose_7';
SELECT count(*) FROM subject WHERE consent ? 'purpose_7';
SELECT id FROM subject WHERE consent ? 'p4998.x' OR consent ? 'p4999.x' ORDER BY id;
SELECT count(*) FROM subject WHERE consent ? 'marketing';
UPDATE subject SET consent = consent || consent('purpose_7', 'withdrawn') WHERE id BETWEEN 101 AND 600;
SELECT count(*) FROM subject WHERE consent ? 'purpose_7';
EXPLAIN (COSTS OFF) SELECT id FROM subject WHERE consent @> '{purpose_8: given 2026-01-01T00:00:00Z}';
SELECT count(*) FROM subject WHERE consent @> '{purpose_8: given 2026-01-01T00:00:00Z}';
SELECT count(*) FROM subject WHERE consent @> '{purpose_8: given 2026-01-02T00:00:00Z}';
SELECT count(*) FROM subject WHERE consent @> '{}';
EXPLAIN (COSTS OFF) SELECT id FROM subject WHERE consent && '{purpose_8: given 2026-01-02T00:00:00Z}';
SELECT count(*) FROM subject WHERE consent && '{purpose_8: given 2026-01-02T00:00:00Z, marketing: unknown 2026-01-01T00:00:00Z}';
SELECT count(*) FROM subject WHERE consent && '{purpose_8/sms: given 2026-01-02T00:00:00Z}';
SELECT count(*) FROM subject WHERE consent && '{}';
DROP INDEX subject_hash;
EXPLAIN (COSTS OFF) SELECT id FROM copied WHERE id <> 2 AND consent = '{purpose_9: given 2026-01-01T00:00:00Z}';
SELECT count(*) FROM copied WHERE id <> 2 AND consent = '{purpose_9: given 2026-01-01T00:00:00Z}';
CREATE INDEX subject_hash ON copied USING hash (consent);
DROP INDEX subject_btree;
EXPLAIN (COSTS OFF) SELECT id FROM copied WHERE consent = '{purpose_9: given 2026-01-01T00:00:00Z}';
SELECT count(*) FROM copied WHERE consent = '{purpose_9: given 2026-01-01T00:00:00Z}';
RESET enable_seqscan;
SELECT count(*) FROM (SELECT consent FROM copied GROUP BY consent) AS groups;

-- The operator classes are complete.
SELECT opcname, amname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
    WHERE opcintype = 'consent'::regtype ORDER BY 1, 2;

SET client_min_messages = warning;
DROP SCHEMA consent_type CASCADE;
