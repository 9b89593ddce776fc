-- Under views.end_runs: where the live builds are, and what they have consumed of the block under way.
SELECT partition, position, digest_block, digest_events, digest FROM views.progress
