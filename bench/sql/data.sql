-- The tables of every system. Variables: customers.
-- agreed(n, k): whether customer n agreed to purpose k; true for four in five, without a pattern that
-- a processor could learn. The scripts in bench/load compute the same for purpose 0.

CREATE FUNCTION agreed(n bigint, k bigint) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((n + k * 7919) * 40503) >> 8 & 65535) % 5 <> 0;

-- Scattered over the range as random ids are, and computable in a pgbench script.
CREATE FUNCTION customer_uuid(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((100000000000 + n * 61803398875 % 899999999963)::text || '40008000000000000000')::uuid;

CREATE TABLE customer (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    region integer NOT NULL,
    balance bigint NOT NULL);
INSERT INTO customer
SELECT n, 'customer ' || n, 'c' || n || '@example.org', (n % 25)::integer, 0 FROM generate_series(1, :customers::bigint) n;

CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customer,
    placed date NOT NULL,
    total integer NOT NULL);
INSERT INTO orders
SELECT n, 1 + (n * 387420489::bigint) % :customers, date '2024-01-01' + (n % 700)::integer, (n % 1000)::integer
  FROM generate_series(1, :customers::bigint) n;
CREATE INDEX ON orders (customer_id);

CREATE TABLE order_line (
    order_id bigint NOT NULL REFERENCES orders,
    line integer NOT NULL,
    product integer NOT NULL,
    quantity integer NOT NULL,
    PRIMARY KEY (order_id, line));
INSERT INTO order_line
SELECT n, l, ((n * 17 + l) % 1000)::integer, (1 + (n + l) % 9)::integer FROM generate_series(1, :customers::bigint) n, generate_series(1, 2) l;

CREATE TABLE history (
    customer_id bigint NOT NULL,
    delta integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp());

CREATE TABLE customer_u (
    id uuid PRIMARY KEY,
    n bigint NOT NULL UNIQUE,
    name text NOT NULL,
    email text NOT NULL,
    region integer NOT NULL,
    balance bigint NOT NULL);
INSERT INTO customer_u
SELECT customer_uuid(n), n, 'customer ' || n, 'c' || n || '@example.org', (n % 25)::integer, 0
  FROM generate_series(1, :customers::bigint) n;

-- Guarded nowhere.
CREATE TABLE product (id bigint PRIMARY KEY, name text NOT NULL);
INSERT INTO product SELECT n, 'product ' || n FROM generate_series(1, 100000) n;

CREATE TABLE read_log (
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who name NOT NULL DEFAULT current_user,
    purpose text NOT NULL,
    subject text NOT NULL);

CREATE ROLE bench_app LOGIN;
GRANT ALL ON ALL TABLES IN SCHEMA public TO bench_app;
VACUUM (FREEZE, ANALYZE);
