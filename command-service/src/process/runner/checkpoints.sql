SELECT partition, generation, position FROM process_checkpoints WHERE manager = $1 AND partition = ANY ($2)
