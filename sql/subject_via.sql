-- Data subjects reached through foreign keys: several levels, a partitioned table on the way, keys of every type.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
CREATE ROLE regress_via_app;
CREATE SCHEMA regress_via;
GRANT USAGE ON SCHEMA regress_via TO regress_via_app;
SET search_path = regress_via;
CREATE TABLE orders (id bigint PRIMARY KEY, customer text) PARTITION BY HASH (id);
CREATE TABLE orders_0 PARTITION OF orders FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE orders_1 (customer text, id bigint NOT NULL);
ALTER TABLE orders ATTACH PARTITION orders_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE lines (id uuid PRIMARY KEY, order_id bigint REFERENCES orders ON UPDATE CASCADE, what text);
CREATE TABLE notes (id varchar PRIMARY KEY, line_id uuid REFERENCES lines ON DELETE CASCADE, note text);
CREATE TABLE replies (id int, note_id varchar REFERENCES notes ON DELETE CASCADE);
INSERT INTO orders SELECT i, 'customer ' || i FROM generate_series(1, 10) i;
INSERT INTO lines SELECT md5(i::text)::uuid, i, 'line' FROM generate_series(1, 10) i;
INSERT INTO notes SELECT 'note ' || i, md5(i::text)::uuid, 'note' FROM generate_series(1, 10) i;
INSERT INTO replies SELECT i, 'note ' || i FROM generate_series(1, 10) i;
INSERT INTO replies VALUES (11, NULL);
GRANT ALL ON ALL TABLES IN SCHEMA regress_via TO regress_via_app;
SELECT privacy_guard.create_purpose('via_test', 'consent');
SELECT privacy_guard.grant_purpose('via_test', 'regress_via_app');
SELECT privacy_guard.grant_collection('via_test', current_user::regrole);
SELECT privacy_guard.protect('orders', 'customer', subject_category => 'via_customer');
SELECT privacy_guard.protect('lines', subject_via => 'order_id');
SELECT privacy_guard.protect('notes', subject_via => 'line_id');
SELECT privacy_guard.protect('replies', subject_via => 'note_id', null_subject => 'show');
SELECT privacy_guard.permit(t, 'via_test') FROM unnest('{orders,lines,notes,replies}'::regclass[]) t;
SELECT count(privacy_guard.record_consent('customer ' || i, 'via_test', subject_category => 'via_customer'))
  FROM generate_series(1, 3) i;
RESET client_min_messages;

SET ROLE regress_via_app;
BEGIN;
SET LOCAL privacy_guard.purpose = 'via_test';
SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM orders) AS orders,
       (SELECT string_agg(order_id::text, ',' ORDER BY order_id) FROM lines) AS lines,
       (SELECT string_agg(id, ',' ORDER BY id) FROM notes) AS notes,
       (SELECT string_agg(id::text, ',' ORDER BY id) FROM replies) AS replies;
-- New rows follow the whole way; a row without a way is nobody's.
INSERT INTO replies VALUES (12, 'note 3'), (13, NULL);
SAVEPOINT s;
INSERT INTO replies VALUES (14, 'note 4');
ROLLBACK TO s;
UPDATE replies SET note_id = 'note 9' WHERE id = 1;
ROLLBACK TO s;
INSERT INTO notes VALUES ('note 11', NULL, 'nobody''s');
ROLLBACK TO s;
WITH o AS (INSERT INTO orders VALUES (20, 'customer 1') RETURNING id),
     l AS (INSERT INTO lines SELECT md5('20')::uuid, id, 'new' FROM o RETURNING id)
INSERT INTO notes SELECT 'note 20', id, 'four in one' FROM l RETURNING note;
-- Cascades are core's own: they reach every row of the parents that may be changed.
DELETE FROM notes WHERE id = 'note 2';
UPDATE orders SET id = 30 WHERE id = 3;
SELECT order_id FROM lines ORDER BY 1;
SELECT id FROM replies ORDER BY 1;
ROLLBACK;
RESET ROLE;

-- A withdrawal reaches the last of them.
SET client_min_messages = warning;
SELECT count(privacy_guard.withdraw_consent('customer 3', 'via_test', subject_category => 'via_customer'));
RESET client_min_messages;
SET ROLE regress_via_app;
BEGIN; SET LOCAL privacy_guard.purpose = 'via_test'; SELECT id FROM replies ORDER BY 1; COMMIT;
RESET ROLE;

-- The foreign key on the way stays.
ALTER TABLE lines DROP CONSTRAINT lines_order_id_fkey;
SELECT privacy_guard.unprotect('lines');

SET client_min_messages = warning;
SELECT privacy_guard.unprotect(t) FROM unnest('{replies,notes,lines,orders}'::regclass[]) t;
SELECT privacy_guard.revoke_purpose('via_test', 'regress_via_app');
SELECT privacy_guard.revoke_collection('via_test', current_user::regrole);
SELECT privacy_guard.drop_purpose('via_test');
DROP SCHEMA regress_via CASCADE;
DROP ROLE regress_via_app;
