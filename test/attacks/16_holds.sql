-- Customer 1 is under a legal hold: an attack has succeeded where a row or its content is gone. postgres is a superuser,
-- and under the guard a data steward as well.

-- ## a held row is deleted, by every role that may
-- stock: holds (a trigger by hand asks as well)
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - app
DELETE FROM ticket WHERE id = 1;
WITH d AS (DELETE FROM ticket WHERE id = 1 RETURNING *) SELECT count(*) FROM d;
MERGE INTO ticket t USING (VALUES (1)) v(id) ON t.id = v.id WHEN MATCHED THEN DELETE;
\c - owner
DELETE FROM ticket WHERE id = 1;
\c - bypass
DELETE FROM ticket WHERE id = 1;
\c - checker
DELETE FROM ticket WHERE id = 1;
\c - super
DELETE FROM ticket WHERE id = 1;
\c - checker
SELECT ops.gone('ticket', 'id = 1 AND customer = 1');

-- ## a cascade deletes the held row
-- stock: holds (row triggers fire in cascades)
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - app
DELETE FROM region WHERE id = 2;
DELETE FROM customer WHERE id = 1;
\c - checker
SELECT ops.gone('customer', 'id = 1');

-- ## the held row goes to somebody else first
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - app
UPDATE ticket SET customer = 2 WHERE id = 1;
INSERT INTO ticket VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET customer = 2;
MERGE INTO ticket t USING (VALUES (1)) v(id) ON t.id = v.id WHEN MATCHED THEN UPDATE SET customer = 2;
UPDATE ticket SET customer = NULL WHERE id = 1;
DELETE FROM ticket WHERE id = 1;
\c - checker
SELECT ops.gone('ticket', 'id = 1 AND customer = 1');

-- ## the key itself is changed
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(3);
\c - owner
DELETE FROM ticket WHERE customer = 3;
ALTER TABLE ticket DROP CONSTRAINT ticket_customer_fkey, ADD FOREIGN KEY (customer) REFERENCES customer ON UPDATE CASCADE;
\c - super
UPDATE customer SET id = 33 WHERE id = 3;
DELETE FROM ticket WHERE customer = 33;
DELETE FROM customer WHERE id = 33;
\c - checker
SELECT ops.gone('customer', 'id = 3'), ops.gone('ticket', 'customer = 3');

-- ## the owner switches triggers off
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - owner
ALTER TABLE ticket DISABLE TRIGGER ALL;
ALTER TABLE ticket DISABLE TRIGGER USER;
ALTER TABLE ticket DISABLE TRIGGER privacy_guard_check;
DROP TRIGGER privacy_guard_check ON ticket;
DROP TRIGGER privacy_guard_truncate ON ticket;
DELETE FROM ticket WHERE id = 1;
TRUNCATE ticket;
\c - checker
SELECT ops.gone('ticket', 'id = 1');

-- ## a superuser plays the replica
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - super
SET session_replication_role = replica;
DELETE FROM ticket WHERE id = 1;
TRUNCATE ticket;
\c - checker
SELECT ops.gone('ticket', 'id = 1');

-- ## a superuser switches the trigger off in the catalog
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - super
SET allow_system_table_mods = on;
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'ticket'::regclass AND NOT tgisinternal;
UPDATE pg_class SET relhastriggers = false WHERE oid = 'ticket'::regclass;
\c - super
DELETE FROM ticket WHERE id = 1;
\c - checker
SELECT ops.gone('ticket', 'id = 1');

-- ## the table is dropped
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - owner
DROP TABLE ticket;
\c - super
DROP TABLE ticket;
DROP OWNED BY owner CASCADE;
\c - postgres
DROP TABLE ticket;
\c - checker
SELECT ops.gone('ticket', 'id = 1');

-- ## a partition is taken out, and dropped
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - postgres
ALTER TABLE event DETACH PARTITION event_1;
ALTER TABLE event DETACH PARTITION event_1 CONCURRENTLY;
DROP TABLE event_1;
\c - checker
SELECT ops.gone('event', 'id = 15');

-- ## a child leaves the family, and is emptied
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - super
ALTER TABLE contact_vip NO INHERIT contact;
DELETE FROM contact_vip;
\c - postgres
ALTER TABLE contact_vip NO INHERIT contact;
DELETE FROM contact_vip;
\c - checker
SELECT ops.gone('contact_vip', 'id = 1');

-- ## a single partition is truncated
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - super
TRUNCATE event_1;
TRUNCATE ONLY event_1;
\c - postgres
TRUNCATE event_1;
TRUNCATE contact_vip;
TRUNCATE region CASCADE;
\c - checker
SELECT ops.gone('event', 'id = 15');

-- ## the columns go, and the rows stay
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - owner
ALTER TABLE customer DROP COLUMN note;
DROP DOMAIN remark CASCADE;
\c - checker
SELECT ops.gone('customer', $$id = 1 AND note LIKE 'open%'$$);

-- ## the values go with a change of type
-- stock: leaks
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - owner
ALTER TABLE ticket ALTER body TYPE text USING 'nothing';
ALTER TABLE event ALTER note TYPE varchar(1) USING NULL;
\c - checker
SELECT ops.gone('ticket', $$id = 1 AND body LIKE 'open%'$$), ops.gone('event', $$id = 15 AND note LIKE 'open%'$$);

-- ## a transaction with an older snapshot deletes
-- stock: leaks
-- guarded: refused 42501
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM region;
\! psql -XAtq -U steward -c "SELECT ops.hold(1)"
DELETE FROM ticket WHERE id = 1;
COMMIT;
\c - checker
SELECT ops.gone('ticket', 'id = 1');

-- ## a deletion is prepared before the hold, and committed after it
-- stock: leaks
-- guarded: refused 55P03
\c - steward
SELECT ops.hold(4);
\c - app
BEGIN;
DELETE FROM ticket WHERE id = 1;
PREPARE TRANSACTION 'evil';
\! psql -XAtq -v VERBOSITY=verbose -v ON_ERROR_STOP=1 -U steward -c "SET lock_timeout = 300" -c "SELECT ops.hold(1)" -c "CREATE TABLE held ()" 2>&1
COMMIT PREPARED 'evil';
\c - checker
SELECT CASE WHEN to_regclass('held') IS NULL THEN 'nothing was promised' ELSE ops.gone('ticket', 'id = 1') END;

-- ## a deletion commits after the hold that it did not see
-- stock: leaks
-- guarded: refused 55P03
\c - steward
SELECT ops.hold(4);
\c - app
BEGIN;
DELETE FROM ticket WHERE id = 1;
\! psql -XAtq -v VERBOSITY=verbose -v ON_ERROR_STOP=1 -U steward -c "SET lock_timeout = 300" -c "SELECT ops.hold(1)" -c "CREATE TABLE held ()" 2>&1
COMMIT;
\c - checker
SELECT CASE WHEN to_regclass('held') IS NULL THEN 'nothing was promised' ELSE ops.gone('ticket', 'id = 1') END;

-- ## the table becomes one that a crash empties
-- stock: none (it takes a crash to see it)
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - owner
ALTER TABLE event_1 SET UNLOGGED;
ALTER TABLE ticket SET UNLOGGED;
SELECT 'sec' || 'ret: unlogged' FROM pg_class WHERE relname IN ('event_1', 'ticket') AND relpersistence = 'u';

-- ## the guard is taken off, by a data steward who is told to
-- stock: none (no extension)
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
SELECT privacy_guard.unprotect('ticket');
DELETE FROM privacy_guard.hold;
\c - postgres
DROP EXTENSION privacy_guard CASCADE;
DROP EXTENSION pgcrypto CASCADE;
DELETE FROM privacy_guard.hold;
TRUNCATE privacy_guard.hold;
DELETE FROM ticket WHERE id = 1;
\c - checker
SELECT ops.gone('ticket', 'id = 1');

-- ## break-glass
-- stock: none (no extension)
-- guarded: refused 42501
\c - steward
SELECT ops.hold(1);
\c - postgres
GRANT privacy_guard_break_glass TO postgres;
SELECT privacy_guard.break_glass('evil');
DELETE FROM ticket WHERE id = 1;
TRUNCATE ticket;
DROP TABLE ticket;
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'ticket'::regclass AND NOT tgisinternal;
UPDATE pg_class SET relhastriggers = true WHERE oid = 'ticket'::regclass;
DELETE FROM ticket WHERE id = 1;
TRUNCATE ticket;
REVOKE privacy_guard_break_glass FROM postgres;
\c - checker
SELECT ops.gone('ticket', 'id = 1');
