-- From now on they consume together, which is what 0 stands for.
INSERT INTO views.consumed (build_id, partition, block, events, digest)
SELECT 0, c.partition, c.block, c.events, c.digest
FROM views.consumed c
WHERE c.build_id = (SELECT min(build_id) FROM views.build_progress)
ON CONFLICT DO NOTHING
