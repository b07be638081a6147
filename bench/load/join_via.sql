-- As TPC-H 5: three tables, of which order_line knows its customer through orders.
SELECT c.region, sum(l.quantity * o.total) FROM customer c JOIN orders o ON o.customer_id = c.id
  JOIN order_line l ON l.order_id = o.id
 WHERE o.placed >= date '2024-04-01' AND o.placed < date '2024-07-01'
 GROUP BY c.region ORDER BY 2 DESC;
