SELECT count(*) FROM process_timers WHERE manager = $1 AND partition = ANY ($2)
