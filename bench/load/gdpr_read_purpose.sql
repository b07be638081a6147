-- GDPRbench: the metadata of all records of a purpose.
\set r case when :zipf = 1 then random_zipfian(1, 25, 1.01) else random(1, 25) end
\set pur permute(:r - 1, 25)
SELECT key, pur, ttl, usr, obj, dec, acl, shr, src, cat FROM record WHERE pur = :pur;
