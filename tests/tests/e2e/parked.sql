-- A charge point is renamed very often, by events that follow on those that the log has.
WITH before AS (
    SELECT position, generation FROM log_head
), stream AS (
    SELECT id, version, partition FROM streams s
    CROSS JOIN LATERAL (SELECT partition FROM events WHERE aggregate_id = s.id::text LIMIT 1) e
    WHERE type = 'ChargePoint' AND version > 0
), filled AS (
    INSERT INTO events (position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
                        aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash)
    SELECT b.position + i, s.version + i, b.generation, clock_timestamp(), gen_random_uuid(), s.id, 2, s.partition,
           'ChargePoint', s.id::text, 'ChargePointRenamed', CASE i WHEN 1 THEN '77' ELSE '1' END, p.payload::json,
           '{"tenant_id":"00000000-0000-0000-0000-000000000001","actor_kind":"system","actor_id":"test"}'::json,
           encode(substring(sha256(convert_to(p.payload, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid
    FROM before b, stream s, generate_series(1, $1::bigint) AS i,
         LATERAL (SELECT format('{"ChargePointRenamed":{"identity":"R-%s"}}', i) AS payload) p
), moved AS (
    UPDATE streams s SET version = s.version + $1::bigint, last_position = b.position + $1::bigint
    FROM before b, stream o WHERE s.id = o.id AND s.type = 'ChargePoint'
)
UPDATE log_head SET position = position + $1::bigint, recorded_at = clock_timestamp() RETURNING position
