WITH e AS (
    SELECT *, row_number() OVER (ORDER BY position) AS nth_overall,
           row_number() OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY position) AS nth_of_stream,
           lag(recorded_at) OVER (ORDER BY position) AS recorded_before
    FROM events
), of_streams AS (
    SELECT aggregate_type, aggregate_id, count(*) AS version, min(position) AS first, max(position) AS last
    FROM events GROUP BY 1, 2
)
SELECT 'position ' || position || ' is the ' || nth_overall || 'th' FROM e WHERE position <> nth_overall
UNION ALL
SELECT 'sequence ' || sequence || ' at ' || position FROM e WHERE sequence <> nth_of_stream
UNION ALL
SELECT 'time goes back at ' || position FROM e WHERE recorded_at < recorded_before
UNION ALL
SELECT 'the head is at ' || position FROM log_head WHERE position <> (SELECT count(*) FROM events)
UNION ALL
SELECT 'twice: ' || event_id FROM events GROUP BY event_id HAVING count(*) > 1
UNION ALL
SELECT 'the stream ' || coalesce(s.id::text, o.aggregate_id) || ' differs from its events'
FROM (SELECT * FROM streams WHERE version > 0) s
FULL JOIN of_streams o ON o.aggregate_id = s.id::text AND o.aggregate_type = s.type
WHERE s.version IS DISTINCT FROM o.version OR s.first_position > o.first OR s.last_position < o.last
