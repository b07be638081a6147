-- One table of customers. Variables: customers.
CREATE FUNCTION agreed(n bigint, k bigint) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((n + k * 7919) * 40503) >> 8 & 65535) % 5 <> 0;
CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL);
INSERT INTO customer
SELECT n, 'customer ' || n, 'c' || n || '@example.org' FROM generate_series(1, :customers::bigint) n;
GRANT SELECT ON customer TO bench_app;
VACUUM (FREEZE, ANALYZE) customer;
