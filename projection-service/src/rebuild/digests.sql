SELECT partition, position, digest_block, digest_events, digest FROM views.build_progress WHERE build_id = $1
