-- By the live builds together (0), and by builds on their own of the read model, or of all.
SELECT c.partition, c.block, c.events, c.digest, c.build_id
FROM views.consumed c
LEFT JOIN views.builds b USING (build_id)
WHERE c.block = $1 AND (c.build_id = 0 OR b.state <> 'dropped' AND ($2::text IS NULL OR b.model = $2))
