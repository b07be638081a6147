-- Every row asks its parent.
SELECT count(*), sum(quantity) FROM order_line;
