-- Customer 1 was erased: an attack has succeeded where a row of his is back, or where somebody finds out from what is kept
-- that he was a customer. postgres is a superuser, and under the guard a data steward as well.

-- ## he is written again, by every role that may
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.forget(1);
\c - app
INSERT INTO customer VALUES (1, 1, 'back');
INSERT INTO ticket VALUES (99, 1, 'back');
INSERT INTO event VALUES (99, 1, 'back');
INSERT INTO event_1 VALUES (98, 1, 'back');
INSERT INTO contact_vip VALUES (99, 1, 'back');
UPDATE ticket SET customer = 1 WHERE id = 2;
INSERT INTO ticket VALUES (2, 2) ON CONFLICT (id) DO UPDATE SET customer = 1;
MERGE INTO ticket t USING (VALUES (97)) v(id) ON t.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (97, 1, 'back');
COPY contact FROM STDIN;
99	1	back
\.
\c - owner
INSERT INTO ticket VALUES (96, 1, 'back');
\c - bypass
INSERT INTO contact VALUES (96, 1, 'back');
\c - checker
INSERT INTO contact VALUES (95, 1, 'back');
\c - super
INSERT INTO contact VALUES (94, 1, 'back');
COPY contact FROM STDIN;
93	1	back
\.
\c - checker
SELECT ops.back('customer', 'id = 1'), ops.back('ticket', 'customer = 1'), ops.back('event', 'customer = 1'), ops.back('contact', 'customer = 1');

-- ## a superuser plays the replica
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.forget(1);
\c - super
SET session_replication_role = replica;
INSERT INTO contact VALUES (99, 1, 'back');
\c - checker
SELECT ops.back('contact', 'customer = 1');

-- ## the owner switches triggers off
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.forget(1);
\c - owner
ALTER TABLE contact DISABLE TRIGGER ALL;
ALTER TABLE contact DISABLE TRIGGER USER;
\c - checker
INSERT INTO contact VALUES (99, 1, 'back');
\c - checker
SELECT ops.back('contact', 'customer = 1');

-- ## a superuser forgets whom to forget
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.forget(1);
\c - super
TRUNCATE ops.forgotten;
DELETE FROM privacy_guard.suppressed_subject;
UPDATE privacy_guard.suppressed_subject SET readmitted_at = now();
DELETE FROM privacy_guard.suppression;
TRUNCATE privacy_guard.suppressed_subject, privacy_guard.suppression;
SELECT privacy_guard.readmit_subject('1', 'why not');
SELECT privacy_guard.end_suppression('why not');
INSERT INTO contact VALUES (99, 1, 'back');
\c - checker
SELECT ops.back('contact', 'customer = 1');

-- ## a row under a key that is changed afterwards
-- stock: holds (triggers by hand)
-- guarded: refused 42501
\c - steward
SELECT ops.forget(1);
\c - owner
ALTER TABLE ticket DROP CONSTRAINT ticket_customer_fkey, ADD FOREIGN KEY (customer) REFERENCES customer ON UPDATE CASCADE;
\c - super
UPDATE customer SET id = 1 WHERE id = 2;
\c - checker
SELECT ops.back('customer', 'id = 1'), ops.back('ticket', 'customer = 1');

-- ## who was it? every key is hashed
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.forget(1);
\c - super
SELECT 'secret: customer ' || g FROM generate_series(1, 10) g JOIN ops.forgotten f ON f.hash = md5(g::text);
SELECT 'secret: customer ' || g FROM generate_series(1, 10) g JOIN privacy_guard.suppressed_subject s
    ON s.key_hmac = sha256(convert_to('customer' || g, 'UTF8')) OR s.key_hmac = sha256(convert_to(g::text, 'UTF8'));
SELECT 'secret: customer ' || g FROM generate_series(1, 10) g JOIN privacy_guard.suppressed_subject s
    ON s.key_hmac = privacy_guard_internal.subject_digest(1, g::text);
SELECT 'secret: customer ' || g FROM generate_series(1, 10) g WHERE privacy_guard_internal.suppressed_number(1, g::text) IS NOT NULL;

-- ## who was it? an application role reads what is kept
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.forget(1);
\c - app
SELECT 'secret: customer ' || g FROM generate_series(1, 10) g JOIN ops.forgotten f ON f.hash = md5(g::text);
SELECT 'secret: ' || to_jsonb(s)::text FROM privacy_guard.suppressed_subject s;
SELECT 'secret: ' || to_jsonb(e)::text FROM privacy_guard.erasure e;
SELECT privacy_guard_internal.suppressed_number(1, '1');
SELECT 'secret: ' || pg_read_file('privacy_guard_suppression.key');
SHOW privacy_guard.suppression_key_file;

-- ## consent is recorded for him
-- stock: leaks
-- guarded: refused 55000
\c - steward
SELECT ops.forget(1);
SELECT ops.give(1, 'marketing');
SELECT ops.back('ops.consent', 'customer = 1');
SELECT privacy_guard.record_consent('1', 'marketing');
SELECT CASE WHEN privacy_guard.consent_of('1') <> '{}' THEN 'secret: it is back' END;

-- ## a trigger of the owner keeps a row back
-- stock: leaks
-- guarded: recorded
\c - owner
CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
\c - postgres
CREATE TRIGGER keep BEFORE DELETE ON contact FOR EACH ROW EXECUTE FUNCTION public.keep();
\c - steward
\if :guarded
SELECT CASE privacy_guard.erase_subject('1', 'attack') ->> 'status' WHEN 'kept' THEN 'on record' ELSE 'secret: nobody has noticed' END;
\else
SELECT ops.forget(1);
\c - checker
SELECT ops.back('contact', 'customer = 1');
\endif
