-- The position of no row goes back, whichever build it is read from.
UPDATE shadow.{model} s
SET position = l.position, generation = l.generation
FROM views.{model} l
WHERE l.key = s.key AND s.key = ANY (ARRAY(SELECT key FROM exchange_candidates))
  AND (l.generation, l.position) > (s.generation, s.position)
