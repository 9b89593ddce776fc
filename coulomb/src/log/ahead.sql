-- What is kept beside the log goes with it from one server to another, and is never ahead of it, unless it was restored apart.
SELECT 'The read models are at position ' || max(greatest(p.position, r.position))
       || ', ahead of the log: build each of them anew afterwards (coulomb projections list, coulomb projections rebuild).'
FROM views.progress p LEFT JOIN views.runs r ON r.run = p.run
HAVING max(greatest(p.position, r.position)) > $1
UNION ALL
SELECT 'The process manager ' || manager || ' is at position ' || max(position)
       || ', ahead of the log: it goes back by itself.'
FROM process_checkpoints GROUP BY manager
HAVING max(position) > $1
