SELECT position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
       aggregate_type, aggregate_id, event_type, event_version, payload::text, metadata::text, payload_hash
FROM events
WHERE retention = $1 AND position > $2 AND position <= $3
ORDER BY position
LIMIT $4
