-- The same, and a row that says so.
\set n random(1, :customers)
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else 1 end
BEGIN;
INSERT INTO read_log (purpose, subject) VALUES ('service', :n);
SELECT name, email FROM customer WHERE id = :n;
COMMIT;
