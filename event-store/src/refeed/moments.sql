SELECT position, recorded_at FROM events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3
