-- Partitions and inheritance children.

-- ## a partition is read directly
-- stock: leaks
-- guarded: filtered
SELECT note FROM event_1;

-- ## an inheritance child is read directly
-- stock: leaks
-- guarded: filtered
SELECT note FROM contact_vip;

-- ## a role that was granted only the child
-- stock: leaks
-- guarded: filtered
\c - owner
REVOKE ALL ON event FROM app;
\c - app
SELECT note FROM event_2;

-- ## a partition that came later, read directly
-- stock: leaks
-- guarded: filtered
\c - owner
CREATE TABLE event_3 PARTITION OF event FOR VALUES FROM (200) TO (300);
GRANT ALL ON event_3 TO app, checker;
\c - checker
INSERT INTO event SELECT 200 + g, g, CASE WHEN g <= 4 THEN 'open' ELSE 'sec' || 'ret' END FROM generate_series(1, 10) g;
\c - app
SELECT note FROM event_3;

-- ## a child that came later, read directly
-- stock: leaks
-- guarded: filtered
\c - owner
CREATE TABLE contact_late () INHERITS (contact);
GRANT ALL ON contact_late TO app, checker;
\c - checker
INSERT INTO contact_late SELECT g, g, CASE WHEN g <= 4 THEN 'open' ELSE 'sec' || 'ret' END FROM generate_series(1, 10) g;
\c - app
SELECT note FROM contact_late;

-- ## a partition is detached, then read
-- stock: leaks
-- guarded: refused 42501
\c - owner
ALTER TABLE event DETACH PARTITION event_1;
SELECT note FROM event_1;

-- ## a child stops inheriting, then is read
-- stock: leaks
-- guarded: refused 42501
\c - owner
ALTER TABLE contact_vip NO INHERIT contact;
SELECT note FROM contact_vip;

-- ## the parent of a partition is dropped
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE outside (id int, customer bigint, note text) PARTITION BY RANGE (id);
ALTER TABLE event DETACH PARTITION event_1;
ALTER TABLE outside ATTACH PARTITION event_1 FOR VALUES FROM (0) TO (100);
SELECT note FROM outside;

-- ## a child gets a second, unguarded parent, through which it is read
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE outside (id int, customer bigint, note text);
ALTER TABLE contact_vip INHERIT outside;
SELECT note FROM outside;

-- ## the guarded table itself gets an unguarded parent
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE outside (id bigint, note remark);
ALTER TABLE customer INHERIT outside;
SELECT note FROM outside;

-- ## rows move to where nobody looks: an unguarded table is attached and detached
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE event_3 (id int, customer bigint, note text);
ALTER TABLE event ATTACH PARTITION event_3 FOR VALUES FROM (200) TO (300);
\c - clerk
SET :purpose = 'billing';
UPDATE event SET id = id + 100 WHERE id > 100;
\c - owner
ALTER TABLE event DETACH PARTITION event_3;
SELECT note FROM event_3;

-- ## a partition on another server
-- stock: leaks
-- guarded: refused 55000
\c - super
CREATE EXTENSION file_fdw;
CREATE SERVER evil FOREIGN DATA WRAPPER file_fdw;
COPY (SELECT 201, 5, 'sec' || 'ret') TO :'file';
CREATE FOREIGN TABLE event_3 PARTITION OF event FOR VALUES FROM (200) TO (300) SERVER evil OPTIONS (filename :'file');
GRANT SELECT ON event_3 TO app;
\c - app
SELECT note FROM event_3;
