SELECT build_id, partition_key FROM views.parked_keys WHERE build_id = ANY ($1) AND partition = ANY ($2)
