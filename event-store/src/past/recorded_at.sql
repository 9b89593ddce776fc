-- And how many ranges are detached.
SELECT e.recorded_at, e.position, (SELECT count(*) FROM log_archives WHERE detached_at IS NOT NULL)
FROM (VALUES ($1::bigint)) AS at (position)
LEFT JOIN LATERAL (
    SELECT recorded_at, position FROM events WHERE position <= at.position ORDER BY position DESC LIMIT 1
) e ON true
