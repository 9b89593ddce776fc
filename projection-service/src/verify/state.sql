SELECT h.position,
       -- The first block of every partition was consumed with digests, or is under way.
       NOT EXISTS (SELECT FROM views.progress p
                   WHERE p.digest IS NULL
                      OR p.digest_block > 0 AND NOT EXISTS (SELECT FROM views.consumed c
                                                            WHERE c.build_id = 0 AND c.block = 0 AND c.partition = p.partition)),
       (SELECT count(*) FROM views.parked_keys k JOIN views.builds b USING (build_id) WHERE $1::text IS NULL OR b.model = $1),
       (SELECT count(*) FROM views.parked_events e JOIN views.builds b USING (build_id) WHERE $1::text IS NULL OR b.model = $1)
FROM log_head h
