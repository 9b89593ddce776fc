SELECT b.build_id, b.model, b.number, b.state = 'live' AS live, k.partition_key, k.partition, k.position, k.event_type, k.error,
       k.parked_at,
       (SELECT count(*) FROM views.parked_events e
        WHERE e.build_id = k.build_id AND e.partition_key = k.partition_key) AS waiting
FROM views.parked_keys k
JOIN views.builds b USING (build_id)
WHERE ($1::text IS NULL OR b.model = $1) AND ($2::uuid IS NULL OR k.partition_key = $2)
ORDER BY k.parked_at, k.position, b.model, b.number
LIMIT $3
