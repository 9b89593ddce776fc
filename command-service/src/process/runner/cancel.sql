DELETE FROM process_timers t USING unnest($2::smallint[], $3::text[]) AS c (partition, name)
WHERE t.manager = $1 AND t.partition = c.partition AND t.name = c.name
