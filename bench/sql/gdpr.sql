-- The records of GDPRbench: field f of record n is list_f[n mod length]. ends_at is when its time to live is over.
CREATE TABLE record (
    key bigint PRIMARY KEY,
    pur integer NOT NULL,
    ttl integer NOT NULL,
    usr bigint NOT NULL,
    obj text NOT NULL,
    dec text NOT NULL,
    acl text NOT NULL,
    shr text NOT NULL,
    src text NOT NULL,
    cat text NOT NULL,
    data text NOT NULL,
    ends_at timestamptz NOT NULL);
CREATE INDEX record_pur ON record (pur);
CREATE INDEX record_usr ON record (usr);
CREATE INDEX record_ends_at ON record (ends_at);

CREATE FUNCTION ttl_of(n bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ('{30,10000,12000,14000,16000,18000,20000,22000,24000,1000000}'::integer[])[1 + n % 10];

CREATE PROCEDURE fill(records bigint) LANGUAGE sql AS $$
    INSERT INTO record
    SELECT n, n % 25, ttl_of(n), n % greatest(20, records / 10), 'object' || n % 100, 'decision' || n % 2, 'acl' || n % 10,
           'shared' || n % 10, 'source' || n % 10, 'category' || n % 10, repeat(md5(n::text), 3) || 'data',
           clock_timestamp() + ttl_of(n) * interval '1 second'
      FROM generate_series(0, records - 1) n;
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON record TO controller;
GRANT SELECT, UPDATE, DELETE ON record TO customer;
GRANT SELECT ON record TO processor, regulator;

-- What a hand-written log of accesses would hold, for the regulator of the plain system.
CREATE TABLE access_log (
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    who text NOT NULL,
    purpose text NOT NULL,
    operation text NOT NULL,
    relation text NOT NULL,
    columns text[] NOT NULL,
    statement text NOT NULL,
    usr bigint NOT NULL);
CREATE PROCEDURE fill_log(records bigint) LANGUAGE sql AS $$
    INSERT INTO access_log
    SELECT n, now() + n * interval '1 millisecond', 'processor', 'processing', 'Access', 'public.record',
           '{key,pur,ttl,usr,obj,dec,acl,shr,src,cat}', 'SELECT key, pur, ttl, usr FROM record WHERE usr = ?', n % 10000
      FROM generate_series(1, records) n;
$$;
GRANT SELECT ON access_log TO regulator;
