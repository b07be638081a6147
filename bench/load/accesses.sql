-- Who has seen one person's data.
\set n random(1, 10)
SELECT count(*) FROM privacy_guard.accesses_to(:n::text);
