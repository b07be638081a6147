-- The same, guarded.
SET client_min_messages = warning;
CREATE EXTENSION privacy_guard CASCADE;
SELECT privacy_guard.create_purpose('service', 'consent');
SELECT privacy_guard.grant_collection('service', 'postgres');
CREATE TABLE decision AS
SELECT id AS customer, CASE WHEN agreed(id, 0) THEN 'given' ELSE 'refused' END AS status, timestamptz '2024-01-01' AS at FROM customer;
SELECT privacy_guard.protect('customer', subject_column => 'id');
SELECT privacy_guard.import_consents('decision',
    '{"subject": "customer", "purpose": "=service", "status": "status", "event_time": "at", "category": "=customer"}');
DROP TABLE decision;
VACUUM (FREEZE, ANALYZE) privacy_guard.subject_state;
SELECT privacy_guard.permit('customer', 'service');
SELECT privacy_guard.grant_purpose('service', 'bench_app');
