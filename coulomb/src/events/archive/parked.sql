SELECT model, count(*) FROM log_parked_in($1, $2, $3) GROUP BY model ORDER BY model
