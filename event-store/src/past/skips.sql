-- By the streams of read models, of which there are few: events have no index by type.
SELECT e.position, e.sequence, e.generation, e.recorded_at, e.event_id, e.partition_key, e.retention, e.partition,
       e.aggregate_type, e.aggregate_id, e.event_type, e.event_version, e.payload::text, e.metadata::text,
       e.payload_hash
FROM streams s
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE aggregate_id = s.id::text AND aggregate_type = s.type AND event_type = 'ParkedEventSkipped'
      AND position >= s.first_position AND position <= s.last_position
) e
WHERE s.type = 'ReadModel' AND s.version > 0
ORDER BY e.position
