-- Bounded by the positions of the stream's first and last event: an unbounded look into every range costs many times as much.
SELECT e.position, e.sequence, e.generation, e.recorded_at, e.event_id, e.partition_key, e.retention, e.partition,
       e.aggregate_type, e.aggregate_id, e.event_type, e.event_version, e.payload::text, e.metadata::text,
       e.payload_hash
FROM streams s
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE aggregate_id = $1::uuid::text AND aggregate_type = s.type AND sequence > $3 AND sequence <= $4
      AND position >= s.first_position AND position <= s.last_position
    ORDER BY sequence
    LIMIT $5
) e
WHERE s.id = $1 AND s.type = $2
ORDER BY e.sequence
