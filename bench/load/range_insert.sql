-- The same, and a row that says so.
\set n random(1, :customers - 99)
WITH audit AS (INSERT INTO read_log (purpose, subject) VALUES ('service', :n))
SELECT name, email FROM customer WHERE id BETWEEN :n AND :n + 99;
