-- A hundred rows whose keys are scattered.
\set n random(1, :customers - 99)
SELECT name, email FROM customer_u WHERE n BETWEEN :n AND :n + 99;
