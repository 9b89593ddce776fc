SELECT partition, name, due_at, position, data::text FROM process_timers
WHERE manager = $1 AND partition = ANY ($2) AND due_at <= $3
ORDER BY due_at, partition, name
LIMIT $4
