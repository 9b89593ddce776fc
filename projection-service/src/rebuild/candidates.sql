-- Before anybody has to wait: the rows that an exchange may change. Those that are changed after its snapshot are added later.
CREATE TEMPORARY TABLE exchange_candidates AS
SELECT coalesce(l.key, s.key) AS key
FROM views.{model} l
FULL JOIN shadow.{model} s ON s.key = l.key
WHERE l.key IS NULL OR s.key IS NULL OR l.removed <> s.removed OR l.row <> s.row
   OR (l.generation, l.position) > (s.generation, s.position)
