SELECT due_at FROM process_timers WHERE manager = $1 AND partition = ANY ($2) ORDER BY due_at LIMIT 1
