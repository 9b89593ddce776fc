-- Rows whose content becomes another one, or which come to be, are changed by the event of the exchange.
UPDATE shadow.{model} s
SET position = $1, generation = h.generation
FROM log_head h
WHERE NOT s.removed AND s.key = ANY (ARRAY(SELECT key FROM exchange_candidates))
  AND NOT EXISTS (SELECT FROM views.{model} l WHERE l.key = s.key AND NOT l.removed AND l.row = s.row)
