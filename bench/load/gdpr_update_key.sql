-- GDPRbench: other data.
\set r case when :zipf = 1 then random_zipfian(1, :records, 1.01) else random(1, :records) end
\set key permute(:r - 1, :records)
\set x random(0, 1000000000)
UPDATE record SET data = repeat(md5(:x::text), 3) || 'data' WHERE key = :key;
