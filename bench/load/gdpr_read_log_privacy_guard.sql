-- GDPRbench: the last records of the log.
\set n random(1, 1000)
SELECT * FROM privacy_guard.audit_records(last_records => :n);
