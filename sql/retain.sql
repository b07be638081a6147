-- Storage durations: rows that are past theirs are seen by nobody, and never erased by mistake.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
\set VERBOSITY terse
SELECT format('CREATE ROLE %I', r) FROM unnest(ARRAY['regress_rt_app', 'regress_rt_owner', 'regress_rt_bypass', 'regress_rt_super']) r \gexec
ALTER ROLE regress_rt_bypass BYPASSRLS;
ALTER ROLE regress_rt_super SUPERUSER;
CREATE SCHEMA regress_rt;
GRANT ALL ON SCHEMA regress_rt TO PUBLIC;
SET search_path = regress_rt;

-- The cutoff by its definition: of s + p <= at the greatest s, nearest microsecond and days around.
SET timezone = 'UTC';
CREATE TABLE period (p interval);
INSERT INTO period VALUES ('1 mon'), ('1 mon 1 day'), ('2 mons -1 day'), ('11 mons'), ('1 year'), ('13 mons'), ('48 mons'), ('100 years 3 mons 2 days 04:05:06.7'),
    ('1 day'), ('10 days'), ('36:00:00'), ('1 day 00:00:00.000001'), ('00:00:00.000001'), ('6000 years'), ('0'), ('-1 mon'), ('-3 days 25:00:00');
CREATE TABLE moment (at timestamptz);
INSERT INTO moment SELECT g FROM generate_series('2023-12-25 00:00Z'::timestamptz, '2024-03-05', '7 hours 13 minutes') g
    UNION ALL SELECT g FROM generate_series('2100-02-25 00:00Z'::timestamptz, '2100-03-05', '5 hours') g
    UNION ALL SELECT g FROM generate_series('2000-02-27 23:59:59.999999Z'::timestamptz, '2000-03-02', '12 hours') g
    UNION ALL SELECT g FROM generate_series('1999-12-29 00:00Z'::timestamptz, '2000-01-02', '1 day') g
    UNION ALL SELECT g FROM generate_series('2023-03-28 23:59:59Z'::timestamptz, '2023-05-02', '12 hours') g;
CREATE VIEW cutoff AS SELECT at, p, privacy_guard_internal.duration_cutoff(at, p) AS s FROM moment, period;
SELECT count(*) > 4000 AS many, count(*) FILTER (WHERE s + p > at) AS not_ended,
       count(*) FILTER (WHERE s + interval '1 us' + p <= at) AS not_last,
       count(*) FILTER (WHERE EXISTS (SELECT FROM generate_series(s + interval '1 us', s + interval '4 days', '3 hours') later
                                       WHERE later + p <= at)) AS not_last_of_days
  FROM cutoff;
-- What may be erased: nothing up to it is younger than the period, and one microsecond on something is.
SELECT count(*) FILTER (WHERE safe > s) AS beyond, count(*) FILTER (WHERE safe < s) > 0 AS differs,
       count(*) FILTER (WHERE safe < s AND safe + interval '1 us' + p <= at) AS not_last,
       count(*) FILTER (WHERE EXISTS (SELECT FROM generate_series(safe - interval '4 days', safe, '1 hour') earlier
                                       WHERE earlier + p > at)) AS too_young
  FROM (SELECT *, privacy_guard_internal.duration_safe_cutoff(at, p) AS safe FROM cutoff WHERE p > '0') c;
-- Dates of old, where leap years are counted on.
SELECT at, privacy_guard_internal.duration_cutoff(at, p) FROM (VALUES
    (timestamptz '4000-03-31 BC', interval '1 mon'), ('4001-03-30 BC', '1 mon'), ('0001-01-01 BC', '4712 years'),
    ('4714-11-24 BC', '1 us'), ('4714-12-24 BC', '1 mon'), ('4714-12-23 BC', '1 mon'), ('2024-01-01', '6000 years'),
    ('2024-01-01', '178000000 years'), ('2024-01-01', '-178000000 years'), ('294276-12-31', '-1 mon'), ('294276-12-31', '-1 day'),
    ('infinity', '1 day'), ('-infinity', '1 day')) v (at, p);
-- No time zone has a say.
SET timezone = 'America/New_York';
SELECT privacy_guard_internal.duration_cutoff('2024-03-11 03:30Z', '1 day') AT TIME ZONE 'UTC';
RESET timezone;

-- What is a rule, and what is not.
SELECT privacy_guard.create_purpose(p, 'contract') FROM unnest(ARRAY['rt_care', 'rt_mail', 'rt_mail.news', 'rt_mail.news.x', 'rt_tax']) p;
SELECT privacy_guard.grant_purpose(p, r) FROM unnest(ARRAY['rt_care', 'rt_mail', 'rt_tax']) p,
    unnest('{regress_rt_app,regress_rt_owner,regress_rt_bypass,regress_rt_super}'::regrole[] || current_user::regrole) r;
SET ROLE regress_rt_owner;
CREATE DOMAIN start AS timestamptz;
CREATE TABLE stamped (id int PRIMARY KEY, customer bigint, at timestamptz, on_day date, local timestamp, dom start, word text,
                      made date GENERATED ALWAYS AS (on_day) STORED, body text NOT NULL DEFAULT 'b');
GRANT ALL ON stamped TO PUBLIC;
RESET ROLE;
SELECT privacy_guard.retain('stamped', '1 day', 'at');
SELECT privacy_guard.protect('stamped', subject_column => 'customer', subject_category => 'rt_customer');
SELECT privacy_guard.permit('stamped', p) FROM unnest(ARRAY['rt_care', 'rt_mail', 'rt_tax']) p;
SELECT privacy_guard.retain('stamped', p, 'at') FROM unnest(ARRAY['1 day -1 hour']::interval[]) p;
SELECT privacy_guard.retain('stamped', '0', 'at');
SELECT privacy_guard.retain('stamped', '-1 day', 'at');
SELECT privacy_guard.retain('stamped', '6001 years', 'at');
SELECT privacy_guard.retain('stamped', NULL, 'at');
SELECT privacy_guard.retain('stamped', '1 day', NULL);
SELECT privacy_guard.retain('stamped', '1 day', 'nothing');
SELECT privacy_guard.retain('stamped', '1 day', 'word');
SELECT privacy_guard.retain('stamped', '1 day', 'at', purpose => 'rt_none');
SELECT privacy_guard.retain('stamped', '1 day', 'at', action => 'forget');
SELECT privacy_guard.retain('stamped', '1 day', 'at', partitions => 'burn');
SELECT privacy_guard.retain('stamped', '1 day', 'at', effective_from => NULL);
SELECT privacy_guard.retain('stamped', '1 day', 'at', effective_from => 'infinity');
SELECT privacy_guard.retain('stamped', '1 day', 'at', masks => '{"word": "redact"}');
SELECT privacy_guard.retain('stamped', '1 day', 'at', action => 'anonymise', masks => '["word"]');
SELECT privacy_guard.retain('stamped', '1 day', 'at', action => 'anonymise', masks => '{"customer": "redact"}');
SELECT privacy_guard.retain('stamped', '1 day', 'at', action => 'pseudonymise');
SELECT privacy_guard.retain('stamped', '1 day', 'at', action => 'pseudonymise', masks => '{"at": "null"}');
SELECT privacy_guard.retain('stamped', '1 day', 'made', action => 'pseudonymise', masks => '{"word": "null"}');
SELECT privacy_guard.retain('stamped', '1 day', 'at', erase_unneeded_after => '-1 day');
SELECT privacy_guard.unretain('stamped');
SELECT privacy_guard.unretain('stamped', 'rt_care');
SET ROLE regress_rt_super;
SET SESSION AUTHORIZATION regress_rt_super;
SELECT privacy_guard.retain('stamped', '1 day', 'at');
SELECT privacy_guard.unretain('stamped');
SELECT * FROM privacy_guard.retention_preview();
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM privacy_guard.retention;

-- Each kind of start. Rows 1 to 3 have no end, or ended long ago; 4 ended yesterday; 5 ends tomorrow.
SET SESSION AUTHORIZATION regress_rt_owner;
CREATE FUNCTION seen(purpose text, what text DEFAULT 'stamped') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ids text;
BEGIN
    PERFORM set_config('privacy_guard.purpose', purpose, true);
    EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM %s', what) INTO ids;
    RETURN ids;
END $$;
RESET SESSION AUTHORIZATION;
SELECT privacy_guard.set_mode('stamped', 'monitor');
BEGIN;
SET LOCAL privacy_guard.purpose = 'rt_care';
SET LOCAL ROLE regress_rt_owner;
INSERT INTO stamped (id, customer, at) VALUES (1, 1, NULL), (2, 2, 'infinity'), (3, 3, '-infinity'), (4, 4, now() - interval '11 days'),
    (5, 5, now() - interval '9 days'), (6, 6, '4714-11-24 00:00Z BC'), (7, 7, '294276-12-31 23:59Z');
UPDATE stamped SET at = NULLIF(at, '294276-12-31 23:59Z'), local = at AT TIME ZONE 'UTC', on_day = (at AT TIME ZONE 'UTC')::date, dom = at;
COMMIT;
SELECT privacy_guard.set_mode('stamped', 'enforce');
SELECT c, privacy_guard.retain('stamped', '10 days', c, effective_from => now()) IS NULL, regress_rt.seen('rt_care'), privacy_guard.unretain('stamped') IS NULL
  FROM unnest('{at,on_day,local,dom,made}'::name[]) c;
SELECT retention_start IS NULL FROM privacy_guard.guarded_table WHERE relation = 'stamped'::regclass;

-- Whose rule: the nearest up the tree that is in effect, then the table's own.
SELECT privacy_guard.retain('stamped', '10 days', 'at', effective_from => now());
SELECT privacy_guard.retain('stamped', '8 days', 'at', purpose => 'rt_mail', effective_from => now());
SELECT privacy_guard.retain('stamped', '5000 years', 'at', purpose => 'rt_mail.news', effective_from => now() + interval '1 hour');
SELECT privacy_guard.retain('stamped', '7000 days', 'at', purpose => 'rt_tax', effective_from => now());
SELECT privacy_guard.retain('stamped', '1 day', 'on_day', purpose => 'rt_tax');
SELECT p, regress_rt.seen(p) FROM unnest(ARRAY['rt_care', 'rt_mail', 'rt_mail.news', 'rt_mail.news.x', 'rt_tax']) p;
SELECT purpose, period, since, action, partitions, in_effect FROM privacy_guard.storage_durations ORDER BY purpose NULLS FIRST;
SELECT purpose, rows_hidden, rows_due, rows_held, rows_restricted, null_starts, start_indexed, kept_for FROM privacy_guard.retention_preview('stamped');
SELECT privacy_guard.drop_purpose('rt_mail.news.x');
SELECT privacy_guard.drop_purpose('rt_mail.news');
-- Replaced, it stops at once, and the new one counts from its own time on.
SELECT privacy_guard.retain('stamped', '1 day', 'at', purpose => 'rt_mail');
SELECT p, regress_rt.seen(p) FROM unnest(ARRAY['rt_care', 'rt_mail', 'rt_mail.news']) p;
SELECT privacy_guard.unretain('stamped', p) FROM unnest(ARRAY['rt_mail', 'rt_mail.news', NULL]) p;
SELECT p, regress_rt.seen(p) FROM unnest(ARRAY['rt_care', 'rt_mail', 'rt_tax']) p;
-- Nothing is due while a purpose keeps the rows, or nothing is in effect.
SELECT rows_hidden, rows_due, kept_for FROM privacy_guard.retention_preview('stamped');
SELECT privacy_guard.unretain('stamped', 'rt_tax');
CREATE INDEX ON stamped (at);
SET client_min_messages = notice;
SELECT privacy_guard.retain('stamped', '10 days', 'at', effective_from => '2100-01-01 00:00Z');
SELECT privacy_guard.retain('stamped', '10 days', 'at', effective_from => now(), purpose => 'rt_care');
SELECT privacy_guard.unretain('stamped', 'rt_care');
SELECT privacy_guard.retain('stamped', '10 days', 'at', effective_from => now());
BEGIN;
SELECT privacy_guard.retain('stamped', '10 days', 'at', effective_from => '2100-01-01 00:00Z');
ROLLBACK;
DROP INDEX stamped_at_idx;
SET client_min_messages = warning;
SELECT e.kept_for, e.cutoff IS NULL FROM privacy_guard.storage_durations, privacy_guard_internal.erasure_due(table_name, '2001-01-01') e;

-- Every role and every way. Rows 3, 4 and 6 have ended.
CREATE VIEW v AS SELECT * FROM stamped;
GRANT SELECT ON v TO PUBLIC;
CREATE FUNCTION all_ids() RETURNS SETOF int LANGUAGE sql SECURITY DEFINER AS 'SELECT id FROM regress_rt.stamped';
ALTER VIEW v OWNER TO regress_rt_owner;
ALTER FUNCTION all_ids() OWNER TO regress_rt_owner;
CREATE PROCEDURE try(who text) LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    ids text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', who);
    SET LOCAL privacy_guard.purpose = 'rt_care';
    FOREACH statement IN ARRAY ARRAY['SELECT id FROM stamped', 'SELECT id FROM v', 'SELECT all_ids()', 'SELECT id FROM ONLY stamped',
        'UPDATE stamped SET word = word RETURNING id', 'DELETE FROM stamped RETURNING id',
        'SELECT id FROM stamped FOR UPDATE', 'SELECT a.id FROM (SELECT 1) x LEFT JOIN stamped a ON true',
        'SELECT id FROM stamped WHERE at IS NULL OR at >= ''-infinity''', 'SELECT id FROM stamped WHERE word LIKE ''%'' OR word IS NULL'] LOOP
        BEGIN
            IF statement ~ '^(UPDATE|DELETE)' THEN
                EXECUTE format('WITH t AS (%s) SELECT string_agg(id::text, '','' ORDER BY id) FROM t', statement) INTO ids;
            ELSE
                EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM (%s) t (id)', statement) INTO ids;
            END IF;
            RAISE EXCEPTION USING ERRCODE = 'YYYYY';
        EXCEPTION WHEN SQLSTATE 'YYYYY' THEN
            IF ids IS DISTINCT FROM '1,2,5,7' THEN
                RAISE WARNING '% saw %: %', who, ids, statement;
            END IF;
        END;
    END LOOP;
END $$;
BEGIN; SET LOCAL privacy_guard.on_withheld = silent; CALL try('regress_rt_app'); ROLLBACK;
BEGIN; SET LOCAL privacy_guard.on_withheld = silent; CALL try('regress_rt_owner'); ROLLBACK;
BEGIN; SET LOCAL privacy_guard.on_withheld = silent; CALL try('regress_rt_bypass'); ROLLBACK;
BEGIN; SET LOCAL privacy_guard.on_withheld = silent; CALL try('regress_rt_super'); ROLLBACK;
BEGIN;
SET LOCAL privacy_guard.purpose = 'rt_care';
SET LOCAL ROLE regress_rt_bypass;
COPY stamped (id) TO STDOUT;
COPY (SELECT id FROM stamped ORDER BY id) TO STDOUT;
SET LOCAL ROLE regress_rt_app;
SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0;
SELECT count(*) FROM stamped;
RESET ROLE;
ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'rt_care'; SET LOCAL ROLE regress_rt_app;
SAVEPOINT s;
INSERT INTO stamped (id, customer, at) VALUES (8, 8, now() - interval '10 days 1 hour');
ROLLBACK TO s;
UPDATE stamped SET at = '-infinity' WHERE id = 5;
ROLLBACK TO s;
INSERT INTO stamped (id, customer, at) VALUES (4, 4, now()) ON CONFLICT (id) DO UPDATE SET body = stamped.body || 'x';
ROLLBACK TO s;
INSERT INTO stamped (id, customer, at) VALUES (4, 4, now()) ON CONFLICT DO NOTHING;
MERGE INTO stamped s USING (VALUES (4), (5)) v (id) ON s.id = v.id WHEN MATCHED THEN UPDATE SET body = 'm' WHEN NOT MATCHED THEN DO NOTHING;
MERGE INTO stamped s USING (VALUES (8)) v (id) ON s.id = v.id WHEN NOT MATCHED THEN INSERT (id, customer, at) VALUES (8, 8, '2000-01-01');
ROLLBACK TO s;
COPY stamped (id, customer, at) FROM STDIN;
9	9	2000-01-01
\.
ROLLBACK TO s;
COPY stamped (id, customer, at) FROM STDIN;
9	9	\N
10	10	infinity
\.
SELECT id FROM stamped ORDER BY id;
ROLLBACK;

-- By the clock, not by the transaction: row 5 ends meanwhile.
SELECT privacy_guard.set_mode('stamped', 'monitor', current_user::regrole);
BEGIN; SET LOCAL privacy_guard.purpose = 'rt_care'; SET LOCAL privacy_guard.on_withheld = silent;
UPDATE stamped SET at = clock_timestamp() - interval '10 days' + interval '2 seconds' WHERE id = 5;
COMMIT;
SELECT privacy_guard.set_mode('stamped', NULL, current_user::regrole);
PREPARE p AS SELECT string_agg(id::text, ',' ORDER BY id) FROM stamped;
BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL privacy_guard.purpose = 'rt_care'; SET LOCAL ROLE regress_rt_app;
SET LOCAL plan_cache_mode = force_generic_plan;
EXECUTE p;
DECLARE scan CURSOR FOR SELECT id FROM stamped;
DECLARE sort CURSOR FOR SELECT id FROM stamped ORDER BY body, id DESC;
DECLARE other CURSOR FOR SELECT id FROM stamped WHERE id <> 5 ORDER BY body, id DESC;
DECLARE called CURSOR FOR SELECT all_ids();
FETCH scan;
FETCH sort;
FETCH called;
FETCH other;
SELECT pg_sleep(2.1);
EXECUTE p;
SET LOCAL plan_cache_mode = force_custom_plan;
EXECUTE p;
SAVEPOINT s;
FETCH ALL scan;
FETCH ALL other;
FETCH ALL sort;
ROLLBACK TO s;
FETCH ALL called;
ROLLBACK;
DEALLOCATE p;

-- Held over the transaction: refused when a row that it read has ended, here by a shorter rule.
BEGIN; SET LOCAL privacy_guard.purpose = 'rt_care'; SET LOCAL ROLE regress_rt_app;
INSERT INTO stamped (id, customer, at) VALUES (8, 8, now() - interval '1 day');
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM stamped WHERE id IN (1, 2);
DECLARE ended CURSOR WITH HOLD FOR SELECT id FROM stamped;
COMMIT;
SELECT privacy_guard.retain('stamped', '1 us', 'at', effective_from => now());
BEGIN; SET LOCAL privacy_guard.purpose = 'rt_care'; SET LOCAL ROLE regress_rt_app;
FETCH held;
FETCH held;
FETCH ended;
COMMIT;
CLOSE held;
SELECT privacy_guard.retain('stamped', '10 days', 'at', effective_from => now());
BEGIN; SET LOCAL privacy_guard.purpose = 'rt_care'; SET LOCAL ROLE regress_rt_app;
FETCH ALL ended;
CLOSE ended;
DELETE FROM stamped WHERE id = 8;
COMMIT;

-- Monitored: shown, and counted.
SELECT privacy_guard.reset_enforcement_report();
SELECT privacy_guard.set_mode('stamped', 'monitor');
SELECT regress_rt.seen('rt_care');
SELECT DISTINCT reason, monitored, rows FROM privacy_guard.enforcement_report('stamped') WHERE rows > 0;
SELECT kept_for FROM privacy_guard.retention_preview('stamped');
SELECT privacy_guard.set_mode('stamped', 'enforce');
SELECT regress_rt.seen('rt_care');
SELECT DISTINCT reason, monitored, rows FROM privacy_guard.enforcement_report('stamped') WHERE rows > 0 ORDER BY monitored;
SELECT s, check_name, outcome, regexp_replace(reason, 'those of .*', '...') FROM unnest('{1,4}'::text[]) s,
    privacy_guard.explain_access('stamped', s, 'rt_care', 'regress_rt_app') WHERE check_name IN ('storage duration', 'verdict');

-- The column stays.
DROP VIEW v;
ALTER TABLE stamped DROP COLUMN at;
ALTER TABLE stamped RENAME at TO began;
ALTER TABLE stamped ALTER at TYPE date;
ALTER TABLE stamped DROP COLUMN on_day CASCADE;

-- What anonymise leaves has no subject, and no end.
SELECT privacy_guard.unprotect('stamped');
SELECT count(*) FROM privacy_guard.retention;
CREATE TABLE forgotten (id int, customer int, other int, at date NOT NULL);
INSERT INTO forgotten VALUES (1, 1, NULL, '2000-01-01'), (2, NULL, 2, '2000-01-01'), (3, NULL, NULL, '2000-01-01'), (4, 4, 4, '2100-01-01');
SELECT privacy_guard.protect('forgotten', subject_columns => '{customer,other}', subject_category => 'rt_customer', null_subject => 'show');
SELECT privacy_guard.permit('forgotten', 'rt_care');
SELECT privacy_guard.retain('forgotten', '1 day', 'at', effective_from => now());
SELECT regress_rt.seen('rt_care', 'forgotten');
SELECT privacy_guard.retain('forgotten', '1 day', 'at', action => 'anonymise', effective_from => now());
SELECT regress_rt.seen('rt_care', 'forgotten');
SELECT rows_hidden, rows_due FROM privacy_guard.retention_preview('forgotten');
SELECT privacy_guard.unprotect('forgotten');
ALTER TABLE forgotten ALTER other SET NOT NULL;
DELETE FROM forgotten WHERE other IS NULL;
ALTER TABLE forgotten ALTER other SET NOT NULL;
SELECT privacy_guard.protect('forgotten', subject_columns => '{customer,other}', subject_category => 'rt_customer');
SELECT privacy_guard.retain('forgotten', '1 day', 'at', action => 'anonymise');
SELECT privacy_guard.unprotect('forgotten');

-- Partitions and children whose columns are in other places; a consent column; a path to the subject.
CREATE TABLE log (id int, customer bigint, at timestamptz, own privacy_guard.consent) PARTITION BY RANGE (at);
CREATE TABLE log_1 (own privacy_guard.consent, gone int, at timestamptz, customer bigint, id int);
ALTER TABLE log_1 DROP COLUMN gone;
ALTER TABLE log ATTACH PARTITION log_1 FOR VALUES FROM ('2000-01-01') TO ('2001-01-01');
CREATE TABLE log_2 PARTITION OF log DEFAULT;
INSERT INTO log SELECT g, g, CASE WHEN g < 3 THEN '2000-06-01' ELSE '2100-01-01' END::timestamptz FROM generate_series(1, 4) g;
CREATE TABLE page (log int, id int) ;
CREATE TABLE book (id bigint PRIMARY KEY, at date);
CREATE TABLE loan (at timestamp, id int, book bigint REFERENCES book);
INSERT INTO book VALUES (1, '2000-01-01'), (2, '2100-01-01');
INSERT INTO loan VALUES ('2100-01-01', 1, 1), ('2000-01-01', 2, 2), ('2100-01-01', 3, 2), ('2000-01-01', 4, NULL);
SELECT privacy_guard.protect('log', subject_column => 'customer', subject_category => 'rt_customer', consent_column => 'own');
SELECT privacy_guard.protect('book', subject_column => 'id', subject_category => 'rt_customer');
SELECT privacy_guard.protect('loan', subject_via => 'book', null_subject => 'show');
SELECT privacy_guard.permit(t, 'rt_care') FROM unnest('{log,book,loan}'::regclass[]) t;
SELECT privacy_guard.retain(t, '1 year', 'at', effective_from => now()) FROM unnest('{log,book,loan}'::regclass[]) t;
SELECT t, regress_rt.seen('rt_care', t) FROM unnest('{log,log_1,log_2,book,loan}'::text[]) t;
SELECT privacy_guard.retain('loan', '1 year', 'at', action => 'anonymise', effective_from => now());
SELECT regress_rt.seen('rt_care', 'loan');
SELECT privacy_guard.retain('log', '1 year', 'at', action => 'pseudonymise', masks => '{"own": "null"}');
BEGIN; SET LOCAL privacy_guard.purpose = 'rt_care';
INSERT INTO loan VALUES ('2000-01-01', 5, 2);
ROLLBACK;
BEGIN; SET LOCAL privacy_guard.purpose = 'rt_care';
INSERT INTO log_1 (id, customer, at) VALUES (5, 5, '2000-06-06');
ROLLBACK;
SELECT privacy_guard.restrict_processing('2', 'disputed', subject_category => 'rt_customer') IS NOT NULL;
SELECT privacy_guard.restrict_processing('1', 'disputed', subject_category => 'rt_customer') IS NOT NULL;
SELECT table_name, rows_hidden, rows_due, rows_held, rows_restricted FROM privacy_guard.retention_preview();

SELECT privacy_guard.unprotect(t) FROM unnest('{log,loan,book}'::regclass[]) t;
SELECT count(*) FROM privacy_guard.retention;
SELECT privacy_guard.lift_restriction(s, subject_category => 'rt_customer') IS NOT NULL FROM unnest('{1,2}'::text[]) s;
SELECT privacy_guard.revoke_purpose(p, r) FROM unnest(ARRAY['rt_care', 'rt_mail', 'rt_tax']) p,
    unnest('{regress_rt_app,regress_rt_owner,regress_rt_bypass,regress_rt_super}'::regrole[] || current_user::regrole) r;
SELECT privacy_guard.drop_purpose(p) FROM unnest(ARRAY['rt_mail.news', 'rt_mail', 'rt_care', 'rt_tax']) p;
SET client_min_messages = error;
DROP SCHEMA regress_rt CASCADE;
DROP ROLE regress_rt_app, regress_rt_owner, regress_rt_bypass, regress_rt_super;
