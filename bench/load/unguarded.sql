-- A table that nothing guards.
\set n random(1, 100000)
SELECT name FROM product WHERE id = :n;
