-- The right to be forgotten: one person's rows in every guarded table, what keeps them, and who may not come back.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
DO $$ BEGIN EXECUTE format('GRANT privacy_guard_auditor, privacy_guard_steward TO %I', current_user); END $$;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
CREATE ROLE regress_e_owner;
CREATE ROLE regress_e_other;
CREATE ROLE regress_e_app;
CREATE ROLE regress_e_auditor;
CREATE ROLE regress_e_steward;
CREATE ROLE regress_e_nobody;
CREATE SCHEMA regress_e AUTHORIZATION regress_e_owner;
GRANT USAGE, CREATE ON SCHEMA regress_e TO regress_e_other;
GRANT USAGE ON SCHEMA regress_e TO PUBLIC;
SET search_path = regress_e;
SET ROLE regress_e_owner;
CREATE TABLE customer (id bigint PRIMARY KEY, name text, referred_by bigint REFERENCES customer ON DELETE SET NULL, orders int DEFAULT 0);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customer ON DELETE CASCADE, placed date, note text);
CREATE TABLE message (id int PRIMARY KEY, sender bigint, recipient bigint NOT NULL, body text);
CREATE TABLE visit (customer_id bigint, at timestamp, page text) PARTITION BY RANGE (at);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE visit_2 (page text, at timestamp NOT NULL, customer_id bigint);
ALTER TABLE visit ATTACH PARTITION visit_2 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE opinion (id int PRIMARY KEY, customer_id bigint, town text, said text, at timestamptz);
CREATE TABLE receipt (id int PRIMARY KEY, order_id int REFERENCES orders);
GRANT ALL ON customer, orders, message, visit, opinion, receipt TO regress_e_app;
GRANT REFERENCES ON orders TO regress_e_other;
SET ROLE regress_e_other;
-- Its owner may not read its parent.
CREATE TABLE line (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE, what text, e int, w int, key int, t int, "row" int);
GRANT ALL ON line TO regress_e_app;
RESET ROLE;
GRANT regress_e_other TO regress_e_owner;
-- A trigger that changes other rows of the person while some are erased.
CREATE FUNCTION regress_e.recount() RETURNS trigger LANGUAGE plpgsql SET privacy_guard.purpose = 'e_care' AS $$
BEGIN
    UPDATE regress_e.customer SET orders = orders - 1 WHERE id = OLD.customer_id;
    RETURN NULL;
END $$;

SELECT privacy_guard.create_purpose('e_care', 'contract'), privacy_guard.create_purpose('e_tax', 'legal_obligation'),
       privacy_guard.create_purpose('e_mail', 'consent'), privacy_guard.create_purpose('e_mail.offer', 'consent'),
       privacy_guard.create_purpose('e_news', 'consent', double_opt_in => true);
SELECT privacy_guard.grant_purpose('e_care', r), privacy_guard.grant_collection('e_care', r), privacy_guard.grant_collection('e_mail', r),
       privacy_guard.grant_collection('e_news', r)
  FROM unnest(ARRAY['regress_e_app', 'regress_e_owner', current_user]::regrole[]) r;
SELECT privacy_guard.protect('customer', subject_column => 'id', subject_category => 'regress_e');
SELECT privacy_guard.protect(t::regclass, subject_column => 'customer_id', subject_category => 'regress_e')
  FROM unnest('{orders,visit,opinion}'::text[]) t;
SELECT privacy_guard.protect('message', subject_columns => '{sender,recipient}', subject_category => 'regress_e', null_subject => 'show');
SELECT privacy_guard.protect('line', subject_via => 'order_id');
SELECT privacy_guard.permit(t::regclass, 'e_care') FROM unnest('{customer,orders,visit,opinion,message,line}'::text[]) t;
CREATE TRIGGER recount AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION regress_e.recount();

-- Runs each statement as the application.
CREATE FUNCTION pg_temp.app(VARIADIC statements text[]) RETURNS TABLE (statement text, outcome text)
    LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    SET LOCAL ROLE regress_e_app;
    SET LOCAL privacy_guard.purpose = 'e_care';
    FOREACH statement IN ARRAY statements LOOP
        BEGIN
            EXECUTE statement;
            GET DIAGNOSTICS n = ROW_COUNT;
            outcome := 'ok ' || n;
        EXCEPTION WHEN OTHERS THEN
            outcome := SQLSTATE || ' ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
    RESET ROLE;
END $$;
CREATE FUNCTION pg_temp.fill(key bigint) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE outcome NOT LIKE 'ok%') FROM pg_temp.app(
        format('INSERT INTO customer VALUES (%s, ''name'', NULL, 2)', key),
        format('INSERT INTO orders SELECT %1$s %% 100000 * 10 + g, %1$s, date ''2026-01-01'' - 365 * g, ''note'' FROM generate_series(1, 3) g', key),
        format('INSERT INTO line SELECT %1$s %% 100000 * 10 + g, %1$s %% 100000 * 10 + g, ''thing'' FROM generate_series(1, 3) g', key),
        format('INSERT INTO message SELECT %1$s %% 100000 * 10 + g, CASE WHEN g > 1 THEN %1$s END, CASE g WHEN 3 THEN 2 ELSE %1$s END, ''text'' FROM generate_series(1, 3) g', key),
        format('INSERT INTO visit SELECT %s, timestamp ''2025-12-30'' + g * interval ''1 day'', ''page'' FROM generate_series(1, 4) g', key),
        format('INSERT INTO opinion VALUES (%1$s %% 100000, %1$s, ''town'', ''opinion'', now())', key)) $$;
CREATE FUNCTION pg_temp.tables(erased jsonb) RETURNS TABLE (relation text, deleted int, anonymised int, severed int, kept text, blocked_by jsonb)
    LANGUAGE sql AS $$
    SELECT t ->> 'relation', (t ->> 'deleted')::int, (t ->> 'anonymised')::int, (t ->> 'severed')::int,
           (SELECT string_agg(k.key || ' ' || k.value, ', ' ORDER BY k.key) FROM jsonb_each_text(t -> 'kept') k WHERE k.value <> '0'),
           nullif(t -> 'blocked_by', '[]')
      FROM jsonb_array_elements(erased -> 'tables') t $$;
CREATE FUNCTION pg_temp.erase(key text, category text DEFAULT 'regress_e') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    erased jsonb := privacy_guard.erase_subject(key, 'letter of yesterday', category);
BEGIN
    RAISE INFO '%', jsonb_build_object('status', erased -> 'status', 'withdrawn', erased -> 'consents_withdrawn',
        'restricted', erased -> 'restricted', 'proof', (erased ->> 'proof_until')::timestamptz - now() BETWEEN interval '1094 days' AND interval '1097 days',
        'physical', erased ? 'physical');
    RETURN erased;
END $$;
SELECT pg_temp.fill(2), pg_temp.fill(1000000001), pg_temp.fill(1000000012), pg_temp.fill(1000000013);
SELECT * FROM pg_temp.app('UPDATE customer SET referred_by = 1000000001 WHERE id = 2');

-- Arguments
SELECT privacy_guard.erase_subject(NULL, 'x', 'regress_e');
SELECT privacy_guard.erase_subject('1000000001', NULL, 'regress_e');
SELECT privacy_guard.erase_subject('1000000001', ' ', 'regress_e');
SELECT privacy_guard.erase_subject('1000000001', 'x', 'regress_none');
SELECT privacy_guard.erase_subject('one', 'x', 'regress_e');
SELECT privacy_guard.erase_subject('1000000001', 'x', 'regress_e', NULL);
SELECT privacy_guard.erase_subject('1000000001', 'x', 'regress_e', '-1 day');
SELECT privacy_guard.erase_subject('1000000001', 'x', 'regress_e', '101 years');
SET ROLE regress_e_nobody;
SELECT privacy_guard.erase_subject('1000000001', 'x', 'regress_e');
SELECT * FROM privacy_guard.physical_remains();
SELECT * FROM privacy_guard.erasure;
SELECT privacy_guard_internal.secret_id();
RESET ROLE;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT privacy_guard.erase_subject('1000000001', 'x', 'regress_e');
ROLLBACK;

-- Everything goes: own rows in all tables, children of other owners, partitions, rows that a trigger moved meanwhile;
-- of shared rows only this person
SELECT count(*) FROM unnest('{e_mail,e_mail.offer}'::text[]) p,
       privacy_guard.record_consent('1000000001', p, subject_category => 'regress_e', evidence => '{"form": 1000000001}');
SELECT count(*) FROM privacy_guard.record_consent('1000000001', 'e_news', subject_category => 'regress_e'),
       privacy_guard.record_basis('1000000001', 'e_care', 'contract', reference => 'K 1000000001', subject_category => 'regress_e');
SELECT * FROM pg_temp.tables(pg_temp.erase('1000000001'));
SELECT (SELECT count(*) FROM privacy_guard.consent_evidence e WHERE e.evidence::text LIKE '%1000000001%') AS evidence,
       (SELECT count(*) FROM privacy_guard.consents WHERE subject = '1000000001') AS consents;
BEGIN;
SET LOCAL ROLE regress_e_app;
SET LOCAL privacy_guard.purpose = 'e_care';
SELECT (SELECT count(*) FROM customer), (SELECT count(*) FROM orders), (SELECT count(*) FROM line), (SELECT count(*) FROM visit),
       (SELECT count(*) FROM opinion), (SELECT count(*) FROM message);
SELECT id, referred_by FROM customer WHERE id = 2;
SELECT * FROM message WHERE recipient = 2 ORDER BY id;
COMMIT;

-- The ledger keeps the proof, under the number
SELECT r.purpose, r.event_state, count(*) FROM privacy_guard.consent_record r JOIN privacy_guard.suppressed_subject s ON s.subject = r.pii_principal_id
 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT e.status, e.reason, e.attempts, e.result - 'erasure' - 'proof_until' - 'tables' AS result FROM privacy_guard.erasure e;

-- Nobody takes the person up again; withdrawals and objections are recorded
\set VERBOSITY terse
SELECT privacy_guard.record_consent('1000000001', 'e_mail', subject_category => 'regress_e');
SELECT privacy_guard.record_consent('1000000001', 'e_mail', 'requested', subject_category => 'regress_e');
SELECT privacy_guard.record_basis('1000000001', 'e_care', 'contract', subject_category => 'regress_e');
SELECT privacy_guard.restrict_processing('1000000001', 'x', 'regress_e');
SELECT privacy_guard.withdraw_consent('1000000001', 'e_mail', 'regress_e') IS NOT NULL AS withdrawn,
       privacy_guard.object_to('1000000001', 'e_care', subject_category => 'regress_e') IS NOT NULL AS objected;
SELECT privacy_guard.consent_of('1000000001', 'regress_e');
SELECT check_name, outcome, reason FROM privacy_guard.explain_access('customer', '1000000001', 'e_care', 'regress_e_app') WHERE step > 4;
SELECT * FROM pg_temp.app(
    'INSERT INTO customer VALUES (1000000001, ''back'')',
    'INSERT INTO visit VALUES (1000000001, ''2026-03-03'', ''page'')',
    'INSERT INTO message VALUES (7, 2, 1000000001, ''text'')',
    'UPDATE message SET sender = 1000000001 WHERE id = 23',
    'INSERT INTO opinion VALUES (7, 1000000007, NULL, NULL, now())',
    'INSERT INTO message VALUES (8, NULL, 2, ''text'')');
BEGIN;
SET LOCAL ROLE regress_e_app;
SET LOCAL privacy_guard.purpose = 'e_care';
COPY opinion (id, customer_id) FROM STDIN;
9	1000000009
10	1000000001
\.
ROLLBACK;
CREATE TABLE list AS SELECT unnest(ARRAY[1000000001, 1000000008]) AS id;
SELECT privacy_guard.import_consents('list', '{"subject": "id", "purpose": "=e_mail", "event_time": "=2026-01-01", "category": "=regress_e"}');
-- A second time there is nothing to do, under the same number
SELECT * FROM pg_temp.tables(pg_temp.erase('1000000001'));
SELECT count(*), count(DISTINCT subject) FROM privacy_guard.erasure;
-- A key that was never on record is not barred
SELECT * FROM pg_temp.tables(privacy_guard.erase_subject('1000000099', 'x', 'regress_e'));
SELECT * FROM pg_temp.app('INSERT INTO customer VALUES (1000000099)', 'DELETE FROM customer WHERE id = 1000000099');
\set VERBOSITY default

-- The auditor finds by the key what was recorded, and the log still verifies
SELECT DISTINCT operation, relation FROM privacy_guard.accesses_to('1000000001', 'regress_e') WHERE operation = 'Collect' ORDER BY relation;
SELECT (SELECT count(*) FROM privacy_guard.audit_log l WHERE l.kind = 'retention' AND l.operation = 'Erase'
           AND l.reason = 'data subject''s request') AS receipts,
       (SELECT count(*) FROM privacy_guard.audit_log l WHERE l::text LIKE '%1000000001%') AS with_key,
       (SELECT v.ok FROM privacy_guard.verify_audit_log() v) AS verified;
CREATE FUNCTION pg_temp.tables_with(key text) RETURNS TABLE (relation regclass) LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND NOT c.relispartition
                       AND c.relnamespace IN ('privacy_guard'::regnamespace, 'privacy_guard_internal'::regnamespace)
                       AND c.relname NOT LIKE 'audit_%' LOOP
        EXECUTE format('SELECT count(*) FROM %s t WHERE t::text LIKE %L', relation, '%' || key || '%') INTO found;
        IF found > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
SELECT * FROM pg_temp.tables_with('1000000001');

-- The law keeps younger rows, and those without a start; with them the way to the person
SET client_min_messages = warning;
SELECT privacy_guard.retain('orders', '400 days', 'placed', purpose => 'e_tax');
RESET client_min_messages;
SELECT * FROM pg_temp.app('UPDATE orders SET placed = now() WHERE id = 21', 'UPDATE orders SET placed = NULL WHERE id = 22',
    'UPDATE orders SET placed = ''2001-01-01'' WHERE id = 23');
SELECT * FROM pg_temp.tables(pg_temp.erase('2'));
SELECT s.restricted, r.reason FROM privacy_guard.subject_state s JOIN privacy_guard.restriction r USING (subject)
  JOIN privacy_guard.subject_category c USING (category_id) WHERE c.name = 'regress_e' AND s.key = '2';
SELECT status, next_attempt > now() AS later FROM privacy_guard.erasure WHERE status = 'kept';
-- A restriction for another reason stops it
SELECT privacy_guard.restrict_processing('2', 'disputed', 'regress_e') IS NOT NULL AS restricted;
SELECT privacy_guard.erase_subject('2', 'again', 'regress_e');
SELECT privacy_guard.lift_restriction('2', 'disputed', 'regress_e') IS NOT NULL AS lifted;
-- Without the duty the rest goes, and the erasure is closed
SET client_min_messages = warning;
SELECT privacy_guard.unretain('orders', 'e_tax');
RESET client_min_messages;
SELECT status, next_attempt <= clock_timestamp() AS due FROM privacy_guard.erasure WHERE status = 'kept';
SELECT * FROM pg_temp.tables(pg_temp.erase('2'));
SELECT count(*) FROM privacy_guard.erasure WHERE status = 'kept';

-- A hold on the person, on the person in one table, on another person in the same row
SELECT privacy_guard.place_hold('e 1', '1000000012', 'visit', 'regress_e');
SELECT * FROM pg_temp.tables(pg_temp.erase('1000000012'));
SELECT privacy_guard.place_hold('e 2', '1000000013', subject_category => 'regress_e');
SELECT * FROM pg_temp.tables(pg_temp.erase('1000000013'));
SELECT privacy_guard.release_hold('e 1'), privacy_guard.release_hold('e 2');
SELECT * FROM pg_temp.app('INSERT INTO customer SELECT g FROM generate_series(31, 33) g', 'INSERT INTO message VALUES (31, 31, 32, ''a''), (32, 33, 31, ''b''), (33, 31, 33, ''c'')');
SELECT privacy_guard.place_hold('e 3', '32', subject_category => 'regress_e'), privacy_guard.restrict_processing('33', 'x', 'regress_e') IS NULL AS failed;
SELECT * FROM pg_temp.tables(pg_temp.erase('31'));
SELECT privacy_guard.release_hold('e 3'), privacy_guard.lift_restriction('33', subject_category => 'regress_e') IS NULL AS failed;
-- recipient may not be null
SELECT * FROM pg_temp.tables(pg_temp.erase('31'));

-- Foreign keys of tables that nobody guards, at once and deferred; then nothing is half done
SELECT pg_temp.fill(41);
SELECT * FROM pg_temp.app('INSERT INTO receipt VALUES (1, 411)');
SELECT * FROM pg_temp.tables(pg_temp.erase('41'));
ALTER TABLE receipt ALTER CONSTRAINT receipt_order_id_fkey DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE customer ALTER CONSTRAINT customer_referred_by_fkey DEFERRABLE INITIALLY DEFERRED;
SELECT * FROM pg_temp.tables(pg_temp.erase('41'));
DELETE FROM receipt;

-- What would run somebody's code as a superuser
CREATE TABLE note (customer_id bigint, said text);
GRANT ALL ON note TO regress_e_app;
GRANT TRIGGER ON note TO regress_e_owner;
SET client_min_messages = warning;
SELECT privacy_guard.protect('note', subject_column => 'customer_id', subject_category => 'regress_e'), privacy_guard.permit('note', 'e_care');
RESET client_min_messages;
CREATE FUNCTION regress_e.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
ALTER FUNCTION regress_e.nothing() OWNER TO regress_e_owner;
CREATE TRIGGER nothing AFTER DELETE ON note FOR EACH ROW EXECUTE FUNCTION regress_e.nothing();
SELECT * FROM pg_temp.app('INSERT INTO note VALUES (61)', 'INSERT INTO customer VALUES (61)');
SELECT * FROM pg_temp.tables(pg_temp.erase('61'));
-- What a trigger names as its table need not exist
CREATE OR REPLACE FUNCTION regress_e.nothing() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no' USING SCHEMA = 'nowhere', TABLE = 'nobody'; END $$;
ALTER TABLE note OWNER TO regress_e_owner;
SELECT * FROM pg_temp.tables(pg_temp.erase('61'));
SELECT privacy_guard.unprotect('note');

-- Anonymised where the table's storage duration ends so
SET client_min_messages = warning;
SELECT privacy_guard.retain('opinion', '1 year', 'at', 'anonymise', masks => '{"town": "null"}', effective_from => now());
RESET client_min_messages;
SELECT pg_temp.fill(51);
SELECT * FROM pg_temp.tables(pg_temp.erase('51'));

-- Keys of other types; the bytes of a text key decide
SET ROLE regress_e_owner;
CREATE TABLE device (id uuid PRIMARY KEY, note text);
CREATE TABLE account (login varchar(40) PRIMARY KEY, note text);
RESET ROLE;
SELECT privacy_guard.protect('device', subject_column => 'id', subject_category => 'regress_e_device'),
       privacy_guard.protect('account', subject_column => 'login', subject_category => 'regress_e_account');
SELECT privacy_guard.permit('device', 'e_care'), privacy_guard.permit('account', 'e_care');
GRANT ALL ON device, account TO regress_e_app;
SELECT * FROM pg_temp.app('INSERT INTO device SELECT (''00000000-0000-4000-8000-00000000000'' || g)::uuid FROM generate_series(1, 2) g',
    'INSERT INTO account VALUES (''ann''), (''Ann''), (''o''''hara; --%s'')');
SELECT * FROM pg_temp.tables(pg_temp.erase('{00000000-0000-4000-8000-000000000001}', 'regress_e_device'));
SELECT * FROM pg_temp.tables(pg_temp.erase('ann', 'regress_e_account'));
SELECT * FROM pg_temp.tables(pg_temp.erase('o''hara; --%s', 'regress_e_account'));
SELECT * FROM pg_temp.app('INSERT INTO device VALUES (''00000000-0000-4000-8000-000000000001'')', 'INSERT INTO account VALUES (''ann'')',
    'INSERT INTO device VALUES (''00000000-0000-4000-8000-000000000003'')', 'INSERT INTO account VALUES (''ANN'')');

-- Coming back
SELECT privacy_guard.readmit_subject('ann', 'signed up again', 'regress_e_account');
SELECT privacy_guard.readmit_subject('ann', 'signed up again', 'regress_e_account');
SELECT * FROM pg_temp.app('INSERT INTO account VALUES (''ann'')');
SELECT DISTINCT operation FROM privacy_guard.accesses_to('ann', 'regress_e_account') ORDER BY 1;
SELECT * FROM pg_temp.tables(pg_temp.erase('ann', 'regress_e_account'));
SELECT * FROM pg_temp.app('INSERT INTO account VALUES (''ann'')');

-- What remains, for whom it is meant
SELECT DISTINCT what FROM privacy_guard.physical_remains('opinion') WHERE what IN ('backups and dumps', 'server log', 'write-ahead log') ORDER BY 1;
SELECT * FROM privacy_guard.physical_remains('list');

-- The end of the proofs
SELECT privacy_guard.end_suppression('test', c) FROM unnest('{regress_e,regress_e_account,regress_e_device}'::text[]) c;
SELECT privacy_guard.end_suppression('test', 'regress_e');
SELECT * FROM pg_temp.app('INSERT INTO customer VALUES (1000000001, ''back'')', 'INSERT INTO account VALUES (''ann'')');

SET client_min_messages = warning;
SELECT privacy_guard.unretain('opinion');
SELECT privacy_guard.unprotect(t::regclass) FROM unnest('{line,message,visit,opinion,orders,customer,device,account}'::text[]) t;
SELECT privacy_guard.revoke_purpose('e_care', r), privacy_guard.revoke_collection('e_care', r), privacy_guard.revoke_collection('e_mail', r),
       privacy_guard.revoke_collection('e_news', r)
  FROM unnest(ARRAY['regress_e_app', 'regress_e_owner', current_user]::regrole[]) r;
SELECT privacy_guard.drop_purpose(p) FROM unnest('{e_mail.offer,e_mail,e_care,e_tax,e_news}'::text[]) p;
DROP SCHEMA regress_e CASCADE;
DROP ROLE regress_e_owner, regress_e_other, regress_e_app, regress_e_auditor, regress_e_steward, regress_e_nobody;
