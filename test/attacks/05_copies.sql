-- Copies of rows into a table of one's own, which nobody guards.

-- ## CREATE TABLE AS, then GRANT
-- stock: leaks
-- guarded: refused 42501
\c - bypass
CREATE TABLE evil AS SELECT * FROM customer;
GRANT SELECT ON evil TO app;
\c - app
SELECT note FROM evil;

-- ## SELECT INTO
-- stock: leaks
-- guarded: refused 42501
\c - bypass
SELECT * INTO evil FROM customer;
SELECT note FROM evil;

-- ## CREATE TABLE AS EXECUTE
-- stock: leaks
-- guarded: refused 42501
\c - bypass
PREPARE x AS SELECT * FROM customer;
CREATE TABLE evil AS EXECUTE x;
SELECT note FROM evil;

-- ## permitted rows are kept for later, when consent has gone
-- stock: leaks
-- guarded: refused 42501
CREATE TABLE evil AS SELECT * FROM customer;
SELECT ops.withdraw(1, 'marketing');
SELECT replace(note, 'open', 'sec' || 'ret') FROM evil WHERE id = 1;

-- ## INSERT SELECT into a table of one's own
-- stock: leaks
-- guarded: refused 42501
CREATE TABLE evil (id bigint, note text);
INSERT INTO evil SELECT id, note FROM customer;
SELECT ops.withdraw(1, 'marketing');
SELECT replace(note, 'open', 'sec' || 'ret') FROM evil WHERE id = 1;

-- ## the same through a CTE, a function and MERGE
-- stock: leaks
-- guarded: refused 42501
CREATE TABLE evil (id bigint, note text);
WITH x AS (SELECT * FROM customer) INSERT INTO evil SELECT id, note FROM x;
MERGE INTO evil e USING customer c ON e.id = c.id WHEN NOT MATCHED THEN INSERT VALUES (c.id, c.note);
CREATE FUNCTION evil() RETURNS void LANGUAGE sql AS 'INSERT INTO evil SELECT id, note FROM customer';
SELECT evil();
SELECT ops.withdraw(1, 'marketing');
SELECT replace(note, 'open', 'sec' || 'ret') FROM evil WHERE id = 1;

-- ## LIKE ... INCLUDING ALL brings no rows and no guard; the rows come after
-- stock: leaks
-- guarded: refused 42501
\c - bypass
CREATE TABLE evil (LIKE customer INCLUDING ALL);
INSERT INTO evil TABLE customer;
SELECT note FROM evil;
