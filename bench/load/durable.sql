-- One customer who agreed, in a transaction of its own that says so.
\set n random(1, :customers)
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else 1 end
BEGIN;
SELECT name, email FROM customer WHERE id = :n;
COMMIT;
