-- The same, and a row that says so.
\set n random(1, :customers)
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else random(1, :customers) end
\set n case when (:n * 40503 >> 8 & 65535) % 5 <> 0 then :n else 1 end
\set u 100000000000 + :n * 61803398875 % 899999999963
WITH audit AS (INSERT INTO read_log (purpose, subject) VALUES ('service', :u))
SELECT name, email FROM customer_u WHERE id = (:u || '40008000000000000000')::uuid;
