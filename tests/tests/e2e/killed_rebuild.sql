-- Charge points that are registered, and then say what their first plug does.
WITH before AS (
    SELECT position, generation FROM log_head
), event AS (
    SELECT i, md5('charge point ' || (i + 1) / 2)::uuid AS id, (i + 1) / 2 AS number, i % 2 = 1 AS first
    FROM generate_series(1, 2 * $1::bigint) AS i
), written AS (
    SELECT e.*, CASE WHEN e.first
        THEN jsonb_set(jsonb_set($2::jsonb, '{ChargePointRegistered,charge_point_id}', to_jsonb(e.id)),
                       '{ChargePointRegistered,identity}', to_jsonb('K' || e.number))
        ELSE $3::jsonb END::text AS payload
    FROM event e
), filled AS (
    INSERT INTO events (position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
                        aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash)
    SELECT b.position + w.i, CASE WHEN w.first THEN 1 ELSE 2 END, b.generation, clock_timestamp(), gen_random_uuid(), w.id, 2,
           get_byte(sha256(uuid_send(w.id)), 0) % 64, 'ChargePoint', w.id::text,
           CASE WHEN w.first THEN 'ChargePointRegistered' ELSE 'ConnectorStatusReported' END, '1', w.payload::json,
           '{"tenant_id":"00000000-0000-0000-0000-000000000001","actor_kind":"system","actor_id":"test"}'::json,
           encode(substring(sha256(convert_to(w.payload, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid
    FROM before b, written w
), begun AS (
    INSERT INTO streams (type, id, version, first_position, last_position, fence)
    SELECT 'ChargePoint', e.id, 2, b.position + e.i, b.position + e.i + 1, 0 FROM before b, event e WHERE e.first
)
UPDATE log_head SET position = position + 2 * $1::bigint, recorded_at = clock_timestamp() RETURNING position
