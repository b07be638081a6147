-- A log that names a tenth as many subjects as it has records, to be attached when nobody guards it.
-- Variables: generator, records, subjects.
SET client_min_messages = warning;
CREATE EXTENSION privacy_guard CASCADE;
GRANT privacy_guard_auditor TO postgres, bench_app;
SELECT privacy_guard.create_purpose('service', 'consent');
SELECT privacy_guard.grant_collection('service', 'postgres');
CREATE TABLE customer (id bigint PRIMARY KEY);
SELECT privacy_guard.protect('customer', subject_column => 'id');
-- Those who are asked about; the others are numbers only.
SELECT privacy_guard.record_consent(n::text, 'service') FROM generate_series(1, 10) n;
CREATE TABLE year (LIKE privacy_guard.audit_segment INCLUDING ALL EXCLUDING COMMENTS);
\set command 'python3 ' :generator ' --records ' :records ' --subjects ' :subjects
COPY year FROM PROGRAM :'command' (FORMAT binary);
CREATE UNIQUE INDEX ON year (origin_id, first_leaf);
CREATE INDEX ON year USING gin (subjects) WHERE level > 0;
CREATE INDEX ON year (origin_id, first_leaf) WHERE level = 0;
VACUUM (ANALYZE) year;
