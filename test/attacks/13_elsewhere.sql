-- Rows that leave by other doors: copies of the database, replication, pages.

-- ## a copy of the database
-- stock: leaks
-- guarded: refused 55000
\c - super
\c postgres super
CREATE DATABASE attack2 TEMPLATE attack;
\c attack2
SELECT note FROM customer;
COPY customer TO STDOUT;
INSERT INTO customer (id) SELECT generate_series(1, 10) ON CONFLICT (id) DO UPDATE SET region = excluded.region RETURNING note;
DELETE FROM ticket RETURNING body;
UPDATE customer SET name = name RETURNING note;

-- ## a publication
-- stock: leaks
-- guarded: refused 42501
\c - owner
GRANT CREATE ON DATABASE attack TO owner;
\c - super
CREATE PUBLICATION evil FOR TABLE customer;
SELECT 'sec' || 'ret rows are published' FROM pg_publication_tables WHERE tablename = 'customer';

-- ## a publication of everything, or of a schema
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE PUBLICATION evil FOR ALL TABLES;
CREATE PUBLICATION evil_2 FOR TABLES IN SCHEMA public;
SELECT 'sec' || 'ret rows are published' FROM pg_publication_tables WHERE tablename = 'customer';

-- ## logical decoding
-- stock: leaks
-- guarded: refused 42501
\c - super
SELECT count(*) FROM pg_create_logical_replication_slot('evil', 'test_decoding');
\! psql -XAtq -U checker -c "UPDATE customer SET name = name"
SELECT data FROM pg_logical_slot_get_changes('evil', NULL, NULL);

-- ## logical decoding over the replication protocol
-- stock: leaks
-- guarded: refused 42501
\c - super
\! pg_recvlogical -U super -d attack -S evil -P test_decoding --create-slot 2>&1
\! psql -XAtq -U checker -c "UPDATE customer SET name = name"
\! timeout 3 pg_recvlogical -U super -d attack -S evil --start -f - 2>&1
SELECT count(*) FROM pg_create_logical_replication_slot('evil_2', 'test_decoding');
SELECT data FROM pg_logical_slot_get_changes('evil_2', NULL, NULL);

-- ## pages
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE EXTENSION pageinspect;
SELECT encode(t_data, 'escape') FROM heap_page_items(get_raw_page('customer', 0));

-- ## files
-- stock: leaks
-- guarded: known (files are the superuser's; doc/threat-model.md)
\c - super
CHECKPOINT;
SELECT regexp_replace(encode(pg_read_binary_file(pg_relation_filepath('customer')), 'escape'), '\\000', '', 'g');

-- ## another language than SQL: query_to_xml, cursors of functions, dblink to oneself
-- stock: leaks
-- guarded: filtered
\c - super
SELECT query_to_xml('SELECT note FROM customer', false, true, '');
SELECT table_to_xml('customer', false, true, '');
SELECT * FROM ts_stat('SELECT to_tsvector(note) FROM customer');
CREATE FUNCTION evil() RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE c refcursor := 'c'; BEGIN OPEN c FOR SELECT note FROM customer; RETURN c; END $$;
BEGIN; SELECT evil(); FETCH ALL FROM c; COMMIT;
CREATE EXTENSION tablefunc;
SELECT * FROM crosstab('SELECT 1, 1, note FROM customer ORDER BY id') AS x(a int, b text);

-- ## large sorts, hash joins and foreign tables to oneself
-- stock: leaks
-- guarded: filtered
\c - super
CREATE EXTENSION postgres_fdw;
SELECT format('CREATE SERVER me FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, dbname ''attack'')', current_setting('unix_socket_directories')) \gexec
CREATE USER MAPPING FOR super SERVER me OPTIONS (user 'super');
CREATE FOREIGN TABLE far (id bigint, note text) SERVER me OPTIONS (table_name 'customer');
SELECT note FROM far;
