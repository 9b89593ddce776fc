SELECT position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
       aggregate_type, aggregate_id, event_type, event_version, payload::text, metadata::text, payload_hash
FROM events
WHERE position > $1 AND position <= $2
  AND ($3::smallint IS NULL OR partition = $3)
  AND ($4::uuid IS NULL OR partition_key = $4)
  AND ($5::text[] IS NULL OR aggregate_type = ANY ($5))
  AND ($6::text[] IS NULL OR event_type = ANY ($6))
  AND ($7::text IS NULL OR aggregate_id = $7)
