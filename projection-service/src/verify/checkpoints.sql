SELECT p.partition, p.position, greatest(p.position, r.position), p.digest_block, p.digest_events, p.digest
FROM views.progress p
LEFT JOIN views.runs r ON r.run = p.run
ORDER BY p.partition
