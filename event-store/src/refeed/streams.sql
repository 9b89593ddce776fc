INSERT INTO streams AS s (type, id, version, first_position, last_position, fence)
SELECT e.aggregate_type, e.aggregate_id::uuid, max(e.sequence), min(e.position), max(e.position), 0
FROM events e
WHERE e.position > $1 AND e.position <= $2
GROUP BY e.aggregate_type, e.aggregate_id
ON CONFLICT (id, type) DO UPDATE SET version = excluded.version, last_position = excluded.last_position
