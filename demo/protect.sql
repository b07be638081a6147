-- Puts the CRM under protection. Nothing in the CRM changes: its roles get a purpose, its tables get rules.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION privacy_guard CASCADE;

-- The data protection officer keeps the rules and sees no data; the auditor reads who did; the engineer on call may
-- break the glass.
SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest('{dpo,auditor,oncall}'::name[]) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
GRANT privacy_guard_steward TO dpo;
GRANT privacy_guard_auditor TO auditor;
GRANT privacy_guard_break_glass, pg_read_all_data TO oncall;
GRANT USAGE ON SCHEMA crm TO dpo;

SET ROLE dpo;
SET search_path = crm, privacy_guard;

-- 1. What data is used for, and why that is lawful (GDPR Art. 5(1)(b), 6(1)).
SELECT create_purpose('customer_care', 'contract', 'Answering customers and keeping their records'),
       create_purpose('billing', 'contract', 'Invoices and payments'),
       create_purpose('sales', 'enter_into_contract', 'Offers to people who asked for one'),
       create_purpose('marketing', 'consent', 'Advertising of any kind'),
       create_purpose('marketing.email', 'consent', 'The newsletter'),
       create_purpose('marketing.phone', 'consent', 'Calls about offers'),
       create_purpose('analytics', 'consent', 'Statistics on who buys what'),
       create_purpose('fraud_prevention', 'legitimate_interest', 'Finding stolen accounts and bad debts');

-- 2. Where the personal data is, and whose it is.
SELECT protect('customers', subject_column => 'id'),
       protect('contacts', subject_column => 'customer_id'),
       protect('email_addresses', subject_column => 'customer_id'),
       protect('accounts', subject_column => 'customer_id'),
       protect('interactions', subject_column => 'customer_id'),
       protect('orders', subject_column => 'customer_id'),
       protect('tickets', subject_column => 'customer_id'),
       protect('referrals', subject_columns => '{referrer_id,referred_id}'),
       protect('leads', subject_column => 'id', subject_category => 'lead');
SELECT protect('order_lines', subject_via => 'order_id'),
       protect('ticket_notes', subject_via => 'ticket_id');

-- 3. Which purpose needs which table. What is not here is refused.
SELECT permit(name, 'customer_care') FROM unnest('{customers,contacts,email_addresses,accounts,interactions,orders,order_lines,tickets,
                                                   ticket_notes,referrals}'::regclass[]) AS name;
SELECT permit(name, 'billing') FROM unnest('{customers,email_addresses,orders,order_lines}'::regclass[]) AS name;
SELECT permit('leads', 'sales');
SELECT permit(name, 'marketing') FROM unnest('{customers,referrals,interactions}'::regclass[]) AS name;
SELECT permit('email_addresses', 'marketing.email'), permit('contacts', 'marketing.phone');
SELECT permit(name, 'analytics') FROM unnest('{customers,interactions,orders,order_lines,tickets}'::regclass[]) AS name;
SELECT permit(name, 'fraud_prevention') FROM unnest('{customers,accounts,orders,order_lines}'::regclass[]) AS name;

-- 4. Who works for what. A purpose reaches down its tree: marketing covers marketing.email.
SELECT grant_purpose('customer_care', 'crm_app'), grant_purpose('billing', 'crm_app'), grant_purpose('sales', 'crm_app'),
       grant_purpose('marketing', 'mailer'),
       grant_purpose('analytics', 'analyst'), grant_purpose('fraud_prevention', 'analyst'),
       grant_collection('marketing', 'crm_app'), grant_collection('analytics', 'crm_app');

-- 5. How long data may live (GDPR Art. 5(1)(e)). Offers to somebody who did not buy within 180 days make no sense;
-- calls and letters serve for a year and a half, and for advertising three months. Without effective_from, a duration
-- would begin to count tomorrow.
SELECT retain('leads', '180 days', since => 'created_at', effective_from => now()),
       retain('interactions', '18 months', since => 'occurred_at', effective_from => now()),
       retain('interactions', '3 months', since => 'occurred_at', purpose => 'marketing', effective_from => now());

-- 6. What customers decided so far. The CRM collects consent, so it brings the old ones in.
SET ROLE crm_app;
SELECT import_consents('legacy_consents',
           '{"subject": "customer_id", "purpose": "purpose", "status": "state", "consent_type": "consent_type",
             "event_time": "obtained_at", "collection_method": "obtained_through"}');
RESET ROLE;

-- 7. The purpose of each login. This is all that the clients need.
ALTER ROLE crm_app SET privacy_guard.purpose = 'customer_care';
ALTER ROLE mailer SET privacy_guard.purpose = 'marketing.email';
ALTER ROLE analyst SET privacy_guard.purpose = 'analytics';
