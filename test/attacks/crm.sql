-- The tables and rows that both servers have. Customers 1 to 4 agreed to marketing; all have a contract, for billing.
GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC;
GRANT CREATE ON DATABASE crm TO owner;
SET ROLE owner;
CREATE DOMAIN remark AS text;
CREATE TABLE region (id int PRIMARY KEY);
CREATE TABLE customer (
    id bigint PRIMARY KEY, region int REFERENCES region ON DELETE CASCADE ON UPDATE CASCADE,
    name text, note remark);
CREATE TABLE ticket (id int PRIMARY KEY, customer bigint REFERENCES customer ON DELETE CASCADE, body text);
CREATE TABLE event (id int, customer bigint, note text) PARTITION BY RANGE (id);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (100);
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (100) TO (200);
CREATE TABLE contact (id int, customer bigint, note text);
CREATE TABLE contact_vip (since date) INHERITS (contact);
CREATE TABLE visit (id int PRIMARY KEY, customer bigint, since timestamp, note text);
INSERT INTO region VALUES (1), (2);
INSERT INTO customer SELECT g, 1 + g % 2, CASE WHEN g <= 4 THEN 'open name ' || g ELSE 'secret twin' END,
                            CASE WHEN g <= 4 THEN 'open' ELSE 'secret' END || ' note of ' || g FROM generate_series(1, 10) g;
INSERT INTO ticket SELECT g, g, CASE WHEN g <= 4 THEN 'open' ELSE 'secret' END || ' ticket of ' || g FROM generate_series(1, 10) g;
INSERT INTO event SELECT g * 15, g, CASE WHEN g <= 4 THEN 'open' ELSE 'secret' END || ' event of ' || g FROM generate_series(1, 10) g;
INSERT INTO event SELECT 100 + g, g, CASE WHEN g <= 4 THEN 'open' ELSE 'secret' END || ' event of ' || g FROM generate_series(1, 10) g;
INSERT INTO contact SELECT g, g, CASE WHEN g <= 4 THEN 'open' ELSE 'secret' END || ' contact of ' || g FROM generate_series(1, 10) g;
INSERT INTO contact_vip SELECT g, g, CASE WHEN g <= 4 THEN 'open' ELSE 'secret' END || ' contact of ' || g FROM generate_series(1, 10) g;
-- A visit lives for a day. Those of before have ended, the last of them six hours ago.
INSERT INTO visit SELECT g, g, now() AT TIME ZONE 'UTC' - interval '1 hour', 'open visit of ' || g FROM generate_series(1, 4) g;
INSERT INTO visit SELECT 4 + g, g, now() AT TIME ZONE 'UTC' - make_interval(hours => 24 + 6 * g), 'secret visit of ' || g FROM generate_series(1, 4) g;
GRANT ALL ON region, customer, ticket, event, event_1, event_2, contact, contact_vip, visit TO app, clerk, bypass, checker;
RESET ROLE;
CREATE SCHEMA ops;
GRANT USAGE ON SCHEMA ops TO PUBLIC;
-- How an attack on a legal hold finds out whether it has succeeded.
CREATE FUNCTION ops.gone(relation text, which text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    kept boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s)', relation, which) INTO kept;
    RETURN CASE WHEN kept THEN 'kept' ELSE 'secret: it is gone' END;
EXCEPTION WHEN undefined_table OR undefined_column THEN
    RETURN 'secret: ' || SQLERRM;
END $$;
-- The same of an attack on the right to be forgotten.
CREATE FUNCTION ops.back(relation text, which text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    back boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s)', relation, which) INTO back;
    RETURN CASE WHEN back THEN 'secret: it is back' ELSE 'gone' END;
END $$;
