-- The same consents in privacy_guard; nothing is guarded yet.
SET client_min_messages = warning;
CREATE EXTENSION privacy_guard CASCADE;
SELECT privacy_guard.create_purpose('service', 'consent');
SELECT privacy_guard.create_purpose('marketing', 'consent');
SELECT privacy_guard.create_purpose('research', 'consent');

SELECT privacy_guard.grant_collection(p, 'postgres') FROM unnest('{service,marketing,research}'::text[]) p;
CREATE TABLE decision (customer bigint, purpose text, status text, at timestamptz);
INSERT INTO decision
SELECT c.id, p.name, CASE WHEN agreed(c.id, p.k) THEN 'given' ELSE 'refused' END, '2024-01-01'
  FROM customer c, (VALUES (0, 'service'), (1, 'marketing'), (2, 'research')) p(k, name);
CREATE TABLE decision_u (customer text, purpose text, status text, at timestamptz);
INSERT INTO decision_u
SELECT c.id, 'service', CASE WHEN agreed(c.n, 0) THEN 'given' ELSE 'refused' END, '2024-01-01' FROM customer_u c;

SELECT privacy_guard.create_subject_category('customer', 'bigint'), privacy_guard.create_subject_category('customer_u', 'uuid');
SELECT privacy_guard.import_consents('decision',
    '{"subject": "customer", "purpose": "purpose", "status": "status", "event_time": "at", "category": "=customer"}');
SELECT privacy_guard.import_consents('decision_u',
    '{"subject": "customer", "purpose": "purpose", "status": "status", "event_time": "at", "category": "=customer_u"}');
DROP TABLE decision, decision_u;
VACUUM (FREEZE, ANALYZE) privacy_guard.subject_state;
