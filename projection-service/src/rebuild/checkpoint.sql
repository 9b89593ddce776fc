UPDATE views.build_progress p
SET position = t.position, digest_block = t.block, digest_events = t.events, digest = t.digest
FROM unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::int[], $6::bytea[])
     AS t (partition, position, block, events, digest)
WHERE p.build_id = $1 AND p.partition = t.partition
