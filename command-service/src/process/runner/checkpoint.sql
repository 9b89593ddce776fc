INSERT INTO process_checkpoints AS c (manager, partition, epoch, generation, position)
SELECT $1, n.partition, n.epoch, $4, $5 FROM unnest($2::smallint[], $3::bigint[]) AS n (partition, epoch)
ON CONFLICT (manager, partition) DO UPDATE
SET epoch = excluded.epoch, generation = excluded.generation, position = excluded.position
