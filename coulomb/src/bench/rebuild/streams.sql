-- The streams of a log that was copied in, as appends would have left them.
INSERT INTO streams (id, type, version, first_position, last_position, fence)
SELECT aggregate_id::uuid, aggregate_type, max(sequence), min(position), max(position), 0
FROM events
GROUP BY aggregate_id, aggregate_type
