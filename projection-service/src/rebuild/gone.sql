-- Rows that are no more are removed by it: whoever has them is told.
INSERT INTO shadow.{model} AS s (key, partition, generation, position, removed, row)
SELECT l.key, l.partition, h.generation, $1, true, l.row
FROM views.{model} l CROSS JOIN log_head h
WHERE NOT l.removed AND l.key = ANY (ARRAY(SELECT key FROM exchange_candidates))
  AND NOT EXISTS (SELECT FROM shadow.{model} t WHERE t.key = l.key AND NOT t.removed)
ON CONFLICT (key) DO UPDATE SET generation = excluded.generation, position = excluded.position
