SELECT o_partition, o_generation, o_position, o_digest_block, o_digest_events, o_digest FROM views.claim($1, $2)
