-- GDPRbench: the data of a record.
\set r case when :zipf = 1 then random_zipfian(1, :records, 1.01) else random(1, :records) end
\set key permute(:r - 1, :records)
SELECT data FROM record WHERE key = :key;
