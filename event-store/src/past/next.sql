-- The next position that the log has, or the one after its end.
SELECT coalesce((SELECT e.position FROM events e WHERE e.position > $1 ORDER BY e.position LIMIT 1), h.position + 1)
FROM log_head h
