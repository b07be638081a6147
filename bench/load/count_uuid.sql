SELECT count(*) FROM customer_u;
