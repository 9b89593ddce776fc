SELECT coalesce((SELECT max(block) + 1 FROM log_digests), 0), position FROM log_head
