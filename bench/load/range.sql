-- A hundred neighbours, agreed or not.
\set n random(1, :customers - 99)
SELECT name, email FROM customer WHERE id BETWEEN :n AND :n + 99;
