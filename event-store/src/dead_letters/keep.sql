-- Once, whoever meets it; and no more than a bounded number of them waits.
INSERT INTO dead_letters (source, error, position, event_type, topic, kafka_partition, kafka_offset, record_hash, headers,
                          record_key, record_value, value_bytes)
SELECT 'kafka', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
WHERE (SELECT count(*) FROM (SELECT FROM dead_letters WHERE source = 'kafka' AND state = 'waiting' LIMIT $12) w) < $12
ON CONFLICT DO NOTHING
