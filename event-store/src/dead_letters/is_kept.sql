SELECT EXISTS (SELECT FROM dead_letters
               WHERE source = 'kafka' AND topic = $1 AND kafka_partition = $2 AND kafka_offset = $3 AND record_hash = $4)
