UPDATE dead_letters SET state = $2, settled_at = clock_timestamp(), settled_by = $3, reason = $4
WHERE dead_letter_id = $1 AND source = 'kafka' AND state = 'waiting'
