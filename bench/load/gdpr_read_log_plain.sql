-- GDPRbench: the last records of the log.
\set n random(1, 1000)
SELECT * FROM access_log ORDER BY id DESC LIMIT :n;
