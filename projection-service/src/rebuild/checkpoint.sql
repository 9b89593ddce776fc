UPDATE views.build_progress p SET position = t.position
FROM unnest($2::smallint[], $3::bigint[]) AS t (partition, position)
WHERE p.build_id = $1 AND p.partition = t.partition
