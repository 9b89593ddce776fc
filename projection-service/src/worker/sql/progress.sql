SELECT partition, generation, position, digest_block, digest_events, digest FROM views.progress ORDER BY partition
