-- All builds have consumed the same events: one speaks for all.
UPDATE views.progress p
SET position = b.position, generation = h.generation, digest_block = b.digest_block, digest_events = b.digest_events,
    digest = b.digest
FROM views.build_progress b, log_head h
WHERE b.build_id = (SELECT min(build_id) FROM views.build_progress) AND b.partition = p.partition
