-- Where the log ends, and what it has after a position if that is little, in one snapshot.
SELECT e.position, e.sequence, e.generation, e.recorded_at, e.event_id, e.partition_key, e.retention, e.partition,
       e.aggregate_type, e.aggregate_id, e.event_type, e.event_version, e.payload::text, e.metadata::text,
       e.payload_hash, h.position, h.generation
FROM log_head h
LEFT JOIN LATERAL (
    SELECT * FROM events WHERE h.position <= $2 AND position > $1 AND position <= $2
) AS e ON true
ORDER BY e.position
