SELECT position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
       aggregate_type, aggregate_id, event_type, event_version, payload::text, metadata::text,
       payload_hash
FROM events
WHERE position > $1 AND position <= $2 AND (retention = ANY ($3) OR retention NOT IN (1, 2, 3))
      AND metadata ->> 'causation_id' = $4
ORDER BY position
