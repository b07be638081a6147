SELECT count(*) FROM customer;
