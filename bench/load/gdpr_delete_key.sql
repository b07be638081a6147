-- GDPRbench: one record less.
\set r case when :zipf = 1 then random_zipfian(1, :records, 1.01) else random(1, :records) end
\set key permute(:r - 1, :records)
DELETE FROM record WHERE key = :key;
