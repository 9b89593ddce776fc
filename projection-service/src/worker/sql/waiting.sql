-- What waits of a key, but for one event that is to be left out ($3).
SELECT k.position,
       ARRAY(SELECT e.position FROM views.parked_events e
             WHERE e.build_id = k.build_id AND e.partition_key = k.partition_key
               AND ($3::bigint IS NULL OR e.position <> $3)
             ORDER BY e.position LIMIT $4) AS waiting
FROM views.parked_keys k
WHERE k.build_id = $1 AND k.partition_key = $2
