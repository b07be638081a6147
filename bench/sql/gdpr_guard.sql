-- The same, guarded: who reads it, for what, with whose consent, and until when. Variables: users.
SET client_min_messages = warning;
CREATE EXTENSION privacy_guard CASCADE;
GRANT privacy_guard_break_glass TO postgres;
GRANT privacy_guard_auditor TO regulator, postgres;
SELECT privacy_guard.create_purpose('control', 'legitimate_interest');
SELECT privacy_guard.create_purpose('service', 'contract');
SELECT privacy_guard.create_purpose('processing', 'consent');
SELECT privacy_guard.create_purpose('supervision', 'legal_obligation');
SELECT privacy_guard.protect('record', subject_column => 'usr', subject_category => 'user');
SELECT privacy_guard.permit('record', p) FROM unnest('{control,service,processing,supervision}'::text[]) p;
SELECT privacy_guard.grant_purpose(purpose, role)
  FROM (VALUES ('control', 'controller'::regrole), ('service', 'customer'), ('processing', 'processor'),
               ('supervision', 'regulator')) g (purpose, role);
ALTER ROLE controller SET privacy_guard.purpose = 'control';
ALTER ROLE customer SET privacy_guard.purpose = 'service';
ALTER ROLE processor SET privacy_guard.purpose = 'processing';
ALTER ROLE regulator SET privacy_guard.purpose = 'supervision';

-- One user in ten does not consent.
SELECT privacy_guard.grant_collection('processing', 'postgres');
CREATE TABLE decision AS
SELECT n AS usr, CASE WHEN n % 10 = 3 THEN 'refused' ELSE 'given' END AS status, timestamptz '2026-01-01 UTC' AS at
  FROM generate_series(0, :users::bigint - 1) n;
SELECT privacy_guard.import_consents('decision',
    '{"subject": "usr", "purpose": "=processing", "status": "status", "event_time": "at", "category": "=user"}');

-- One in twenty objects, when their records are there: new ones of theirs would be refused.
CREATE FUNCTION object_all() RETURNS void LANGUAGE sql AS $$
    SELECT privacy_guard.object_to(usr::text, 'control', subject_category => 'user') FROM decision WHERE usr % 20 = 7;
$$;

-- Each record brings its own end, so that is what the duration begins at.
SELECT privacy_guard.retain('record', interval '1 microsecond', since => 'ends_at', effective_from => now());
