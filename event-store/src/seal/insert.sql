INSERT INTO log_digests (block, partition, events, digest)
SELECT $1, n.* FROM unnest($2::smallint[], $3::int[], $4::bytea[]) AS n (partition, events, digest)
ON CONFLICT DO NOTHING
