INSERT INTO raw_events (position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
                        aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash)
SELECT position, sequence, 1, $3, event_id, partition_key, retention, partition,
       aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash
FROM unnest($1::bigint[], $2::bigint[], $4::uuid[], $5::uuid[], $6::smallint[], $7::smallint[], $8::text[], $9::text[],
            $10::text[], $11::text[], $12::text[]::json[], $13::text[]::json[], $14::uuid[])
     AS e (position, sequence, event_id, partition_key, retention, partition, aggregate_type, aggregate_id,
           event_type, event_version, payload, metadata, payload_hash)
