-- Bounded by the positions of the stream's first and last event, as read/stream.sql is.
SELECT e.position, e.sequence, e.generation, e.recorded_at, e.event_id, e.partition_key, e.retention, e.partition,
       e.aggregate_type, e.aggregate_id, e.event_type, e.event_version, e.payload::text, e.metadata::text, e.payload_hash
FROM streams s
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE aggregate_id = $1::uuid::text AND aggregate_type = s.type AND sequence > $3
      AND position >= s.first_position AND position <= s.last_position
    ORDER BY sequence
    LIMIT $4
) e
WHERE s.id = $1 AND s.type = $2
ORDER BY e.sequence
