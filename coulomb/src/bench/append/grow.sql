-- Positions $1 to $2 as appends would have left them: a hundred streams at a time, a hundred events in each. $3 and $4 are the
-- payload and the metadata of each, $5 the id in them that stands for the stream's.
WITH stream AS MATERIALIZED (
    SELECT number, encode(substring(sha256(convert_to(number::text, 'UTF8')) FOR 16), 'hex')::uuid AS id
    FROM generate_series(($1::bigint - 1) / 100, ($2::bigint - 1) / 100) number
), made AS MATERIALIZED (
    SELECT number, id, get_byte(sha256(uuid_send(id)), 0) % 64 AS partition, replace($3, $5, id::text) AS payload
    FROM stream
), known AS (
    INSERT INTO streams (id, type, version, first_position, last_position, fence)
    SELECT id, 'Token', 100, number / 100 * 10000 + number % 100 + 1, number / 100 * 10000 + number % 100 + 9901, 0
    FROM made
)
INSERT INTO events (position, sequence, generation, recorded_at, event_id, partition_key, retention, partition,
                    aggregate_type, aggregate_id, event_type, event_version, payload, metadata, payload_hash)
SELECT number / 100 * 10000 + nth * 100 + number % 100 + 1, nth + 1, 1, clock_timestamp(), gen_random_uuid(), id, $6, partition,
       'Token', id::text, $7, $8, payload::json, $4::json,
       encode(substring(sha256(convert_to(payload, 'UTF8')) FOR 16), 'hex')::uuid
FROM generate_series(0, 99) nth, made
ORDER BY 1
