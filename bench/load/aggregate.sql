-- As TPC-H 1: one pass, a handful of groups.
SELECT region, count(*), sum(balance), avg(length(email)) FROM customer GROUP BY region;
