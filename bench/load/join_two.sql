-- As TPC-H 3: what the customers of a region ordered in a quarter.
SELECT o.placed, count(*), sum(o.total) FROM customer c JOIN orders o ON o.customer_id = c.id
 WHERE c.region < 10 AND o.placed >= date '2024-04-01' AND o.placed < date '2024-07-01'
 GROUP BY o.placed ORDER BY 3 DESC LIMIT 10;
