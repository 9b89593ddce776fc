-- The event that a key waits for comes last: the rest is folded then.
SELECT e.partition_key, e.position
FROM views.parked_events e
JOIN views.parked_keys k USING (build_id, partition_key)
WHERE e.build_id = $1 AND e.position = ANY ($2)
ORDER BY e.partition_key, e.position = k.position, e.position
