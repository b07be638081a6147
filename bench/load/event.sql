-- One of the rows that stay.
\set n random(1, :rows)
SELECT page FROM event WHERE id = :n;
