-- Rows with the start of their storage duration and an index on it. Variables: rows.
CREATE TABLE event (
    id bigint PRIMARY KEY,
    customer_id bigint NOT NULL,
    at timestamptz NOT NULL,
    page text NOT NULL);
CREATE INDEX event_at ON event (at);
INSERT INTO event
SELECT n, 1 + n % 100000, '2100-01-01 UTC', 'page ' || n FROM generate_series(1, :rows::bigint) n;
GRANT SELECT, INSERT ON event TO bench_app;

-- As many once more, past their time.
CREATE PROCEDURE fill(rows bigint) LANGUAGE sql AS $$
    INSERT INTO event
    SELECT rows + n, 1 + n % 100000, timestamptz '2025-01-01 UTC' + n * interval '1 second', 'page ' || n
      FROM generate_series(1, rows) n;
$$;

-- The loop that people write, and write well: by the index, beginning where the last batch ended, so that dead
-- entries are not met again, and without waiting for anybody.
CREATE TABLE erasure_time (began timestamptz, ended timestamptz);
CREATE PROCEDURE erase_by_hand(cutoff timestamptz, batch integer) LANGUAGE plpgsql AS $$
DECLARE
    resume timestamptz := '-infinity';
    erased bigint;
BEGIN
    INSERT INTO erasure_time VALUES (clock_timestamp());
    LOOP
        WITH gone AS (
            DELETE FROM event WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM event WHERE at >= resume AND at <= cutoff ORDER BY at LIMIT batch FOR UPDATE SKIP LOCKED))
            RETURNING at)
        SELECT count(*), coalesce(max(at), resume) INTO erased, resume FROM gone;
        COMMIT;
        EXIT WHEN erased = 0;
    END LOOP;
    UPDATE erasure_time SET ended = clock_timestamp();
END $$;
VACUUM (FREEZE, ANALYZE) event;
