INSERT INTO exchange_candidates
SELECT key FROM views.{model} WHERE position > $1
UNION ALL SELECT key FROM shadow.{model} WHERE position > $1
