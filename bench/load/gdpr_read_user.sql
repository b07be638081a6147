-- GDPRbench: the metadata of all records of a user.
\set r case when :zipf = 1 then random_zipfian(1, :users, 1.01) else random(1, :users) end
\set usr permute(:r - 1, :users)
SELECT key, pur, ttl, usr, obj, dec, acl, shr, src, cat FROM record WHERE usr = :usr;
