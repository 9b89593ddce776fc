-- And how many ranges are detached, in a row without a position.
SELECT position, NULL::bigint FROM events
WHERE position = ANY ($1) AND event_type IN ('ParkedKeyReleased', 'ParkedEventSkipped')
UNION ALL
SELECT NULL::bigint, count(*) FROM log_archives WHERE detached_at IS NOT NULL
