-- The same consents and rules in privacy_guard.
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

SELECT privacy_guard.protect('customer', subject_column => 'id');
SELECT privacy_guard.protect('customer_u', subject_column => 'id', subject_category => 'customer_u');
SELECT privacy_guard.protect('orders', subject_column => 'customer_id');
SELECT privacy_guard.protect('order_line', subject_via => 'order_id');
SELECT privacy_guard.protect('history', subject_column => 'customer_id');

SELECT privacy_guard.import_consents('decision',
    '{"subject": "customer", "purpose": "purpose", "status": "status", "event_time": "at", "category": "=customer"}');
SELECT privacy_guard.import_consents('decision_u',
    '{"subject": "customer", "purpose": "purpose", "status": "status", "event_time": "at", "category": "=customer_u"}');
DROP TABLE decision, decision_u;
VACUUM (FREEZE, ANALYZE) privacy_guard.subject_state;
SELECT privacy_guard.permit(t, p)
  FROM unnest('{customer,customer_u,orders,order_line,history}'::regclass[]) t, unnest('{service,marketing}'::text[]) p;
SELECT privacy_guard.grant_purpose(p, 'bench_app') FROM unnest('{service,marketing}'::text[]) p;
ALTER ROLE bench_app SET privacy_guard.purpose = 'service';
