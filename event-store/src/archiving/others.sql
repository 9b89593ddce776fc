-- Of all that the log has between two positions but one class's range.
SELECT position, partition, payload_hash
FROM events
WHERE position > $1 AND position <= $2 AND NOT (retention = $3 AND position >= $4 AND position <= $5)
