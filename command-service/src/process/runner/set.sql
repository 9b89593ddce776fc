INSERT INTO process_timers AS t (manager, partition, name, due_at, position, data)
SELECT $1, n.partition, n.name, n.due_at, n.position, n.data::json
FROM unnest($2::smallint[], $3::text[], $4::timestamptz[], $5::bigint[], $6::text[]) AS n (partition, name, due_at, position, data)
ON CONFLICT (manager, partition, name) DO UPDATE
SET due_at = excluded.due_at, position = excluded.position, data = excluded.data
