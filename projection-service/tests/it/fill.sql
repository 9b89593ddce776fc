WITH before AS (
    SELECT position, generation FROM log_head
), filled AS (
    INSERT INTO events (position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
                        aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash)
    SELECT b.position + i, 1, b.generation, clock_timestamp(), gen_random_uuid(), k.key, 2,
           get_byte(sha256(uuid_send(k.key)), 0) % 64, 'ChargePoint', k.key::text, 'DataTransferred', '1', $2::json,
           '{"tenant_id":"00000000-0000-0000-0000-000000000001","actor_kind":"system","actor_id":"test"}'::json,
           encode(substring(sha256(convert_to($2, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid
    FROM before b, generate_series(1, $1::bigint) AS i,
         LATERAL (SELECT md5(i::text)::uuid AS key) k
)
UPDATE log_head SET position = position + $1::bigint RETURNING position
