-- GDPRbench: with whom all records of a user are shared.
\set r case when :zipf = 1 then random_zipfian(1, :users, 1.01) else random(1, :users) end
\set usr permute(:r - 1, :users)
\set x random(0, 9)
UPDATE record SET shr = 'shared' || :x::text WHERE usr = :usr;
