-- State that was true when it was read.

-- ## a withdrawal and a REPEATABLE READ transaction
-- stock: leaks
-- guarded: filtered
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM customer;
\! psql -XAtq -U steward -c "SELECT ops.withdraw(1, 'marketing')"
SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer;
COMMIT;

-- ## a withdrawal and a SERIALIZABLE transaction
-- stock: leaks
-- guarded: filtered
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT count(*) FROM customer;
\! psql -XAtq -U steward -c "SELECT ops.withdraw(1, 'marketing')"
SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer;
COMMIT;

-- ## a withdrawal and a snapshot that was exported
-- stock: leaks
-- guarded: filtered
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_export_snapshot() AS snapshot \gset
\setenv SNAPSHOT :snapshot
\! psql -XAtq -U steward -c "SELECT ops.withdraw(1, 'marketing')"
\! psql -XAtq -c "BEGIN ISOLATION LEVEL REPEATABLE READ" -c "SET TRANSACTION SNAPSHOT '$SNAPSHOT'" -c "SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer"
COMMIT;

-- ## consent that expires in a long transaction
-- stock: leaks
-- guarded: filtered
SELECT ops.give(1, 'marketing', '1 second');
BEGIN;
SELECT count(*) FROM customer;
SELECT pg_sleep(1.2);
SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer;
COMMIT;

-- ## consent that expires while a cursor is open
-- stock: leaks
-- guarded: filtered
SELECT ops.give(2, 'marketing', '2 seconds');
BEGIN;
DECLARE c CURSOR FOR SELECT CASE id WHEN 2 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer ORDER BY id;
FETCH 1 FROM c;
SELECT pg_sleep(2.1);
FETCH ALL FROM c;
COMMIT;

-- ## consent that expires after the cursor's rows have been sorted
-- stock: leaks
-- guarded: refused 55000
SELECT ops.give(2, 'marketing', '2 seconds');
BEGIN;
DECLARE c CURSOR FOR SELECT CASE id WHEN 2 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer ORDER BY customer.note DESC;
FETCH 1 FROM c;
SELECT pg_sleep(2.1);
FETCH ALL FROM c;
COMMIT;

-- ## a withdrawal while a cursor is open
-- stock: leaks
-- guarded: filtered
BEGIN;
DECLARE c CURSOR FOR SELECT CASE id WHEN 2 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer ORDER BY id;
FETCH 1 FROM c;
\! psql -XAtq -U steward -c "SELECT ops.withdraw(2, 'marketing')"
FETCH ALL FROM c;
COMMIT;

-- ## a withdrawal after the cursor's rows have been sorted
-- stock: leaks
-- guarded: refused 55000
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT CASE id WHEN 2 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer ORDER BY customer.note DESC;
FETCH 1 FROM c;
\! psql -XAtq -U steward -c "SELECT ops.withdraw(2, 'marketing')"
FETCH ALL FROM c;
COMMIT;

-- ## a withdrawal and a cursor WITH HOLD
-- stock: leaks
-- guarded: refused 55000
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT CASE id WHEN 2 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer ORDER BY id;
COMMIT;
SELECT ops.withdraw(2, 'marketing');
FETCH ALL FROM c;

-- ## consent given and rolled back
-- stock: holds (its consents are rows as any)
-- guarded: filtered
BEGIN;
SELECT ops.give(5, 'marketing');
SELECT count(*) FROM customer;
ROLLBACK;
SELECT note FROM customer;
BEGIN;
SAVEPOINT a;
SELECT ops.give(5, 'marketing');
SELECT count(*) FROM customer;
ROLLBACK TO a;
SELECT note FROM customer;
COMMIT;
SELECT note FROM customer;

-- ## one's own withdrawal, not committed yet
-- stock: holds (its consents are rows as any)
-- guarded: filtered
BEGIN;
SELECT ops.withdraw(1, 'marketing');
SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer;
ROLLBACK;
BEGIN;
SELECT ops.withdraw(1, 'marketing');
COMMIT;
SELECT CASE id WHEN 1 THEN replace(note, 'open', 'sec' || 'ret') ELSE note END FROM customer;

-- ## somebody's consent, not committed yet, fills what others read
-- stock: holds (its consents are rows as any)
-- guarded: filtered
BEGIN;
SELECT ops.give(5, 'marketing');
SELECT count(*) FROM customer;
SELECT count(*) FROM customer;
\! psql -XAtq -c "SELECT note FROM customer"
ROLLBACK;
SELECT note FROM customer;

-- ## a withdrawal in a prepared transaction
-- stock: none (it leaks until COMMIT PREPARED, as any row)
-- guarded: refused 0A000
BEGIN;
SELECT ops.withdraw(1, 'marketing');
PREPARE TRANSACTION 'evil';

-- ## SET ROLE after the check, in one statement
-- stock: leaks
-- guarded: filtered
\c - super
SELECT set_config('role', 'checker', true), note FROM customer;
