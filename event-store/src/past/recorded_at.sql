-- And how many ranges are detached.
SELECT recorded_at, position, (SELECT count(*) FROM log_archives WHERE detached_at IS NOT NULL)
FROM events WHERE position <= $1 ORDER BY position DESC LIMIT 1
