-- GDPRbench: with whom all records of a purpose are shared.
\set r case when :zipf = 1 then random_zipfian(1, 25, 1.01) else random(1, 25) end
\set pur permute(:r - 1, 25)
\set x random(0, 9)
UPDATE record SET shr = 'shared' || :x::text WHERE pur = :pur;
