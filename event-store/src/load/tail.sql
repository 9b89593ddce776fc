-- The version of the stream and what came after a version, in one snapshot. The reads are bounded by the positions of the
-- stream's first and last event: an unbounded look into every range costs many times as much.
SELECT s.version, e.sequence, e.event_type, e.event_version, e.payload::text, e.position
FROM streams s
LEFT JOIN LATERAL (
    SELECT * FROM events
    WHERE s.version > $3 AND aggregate_id = $1::uuid::text AND aggregate_type = s.type AND sequence > $3
      AND position >= s.first_position AND position <= s.last_position
    ORDER BY sequence
    LIMIT $4
) e ON true
WHERE s.id = $1 AND s.type = $2
ORDER BY e.sequence
