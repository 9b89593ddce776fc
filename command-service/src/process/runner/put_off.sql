UPDATE process_timers SET due_at = $4 WHERE manager = $1 AND partition = $2 AND name = $3
