-- As pgbench -N: change, read, and add to the history.
\set n random(1, :customers)
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else 1 end
\set delta random(-5000, 5000)
BEGIN;
UPDATE customer SET balance = balance + :delta WHERE id = :n;
SELECT balance FROM customer WHERE id = :n;
INSERT INTO history (customer_id, delta) VALUES (:n, :delta);
COMMIT;
