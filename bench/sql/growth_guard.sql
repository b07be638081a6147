-- The same, guarded.
SET client_min_messages = warning;
CREATE EXTENSION privacy_guard CASCADE;
SELECT privacy_guard.create_purpose('service', 'consent');
INSERT INTO privacy_guard.subject_category (name, key_type) VALUES ('customer', 'bigint');
INSERT INTO privacy_guard.subject_state (category_id, key, key_int, consent)
SELECT g.category_id, c.id::text, c.id,
       privacy_guard.consent('service', CASE WHEN agreed(c.id, 0) THEN 'given' ELSE 'refused' END::privacy_guard.consent_status)
  FROM customer c, privacy_guard.subject_category g;
VACUUM (FREEZE, ANALYZE) privacy_guard.subject_state;
SELECT privacy_guard.protect('customer', subject_column => 'id');
SELECT privacy_guard.permit('customer', 'service');
SELECT privacy_guard.grant_purpose('service', 'bench_app');
