-- The same table, guarded: its rows may live for a year.
SET client_min_messages = warning;
CREATE EXTENSION privacy_guard CASCADE;
SELECT privacy_guard.create_purpose('service', 'contract');
SELECT privacy_guard.protect('event', subject_column => 'customer_id');
SELECT privacy_guard.permit('event', 'service');
SELECT privacy_guard.grant_purpose('service', 'bench_app');
ALTER ROLE bench_app SET privacy_guard.purpose = 'service';

CREATE FUNCTION set_duration() RETURNS void LANGUAGE sql AS $$
    DELETE FROM erasure_time;
    INSERT INTO erasure_time VALUES (clock_timestamp());
    SELECT privacy_guard.retain('event', interval '10 days', since => 'at', effective_from => now());
$$;
-- New rows past their end are refused, so the duration goes before they come.
CREATE PROCEDURE forget_duration() LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM privacy_guard.retention) THEN
        PERFORM privacy_guard.unretain('event');
    END IF;
END $$;
