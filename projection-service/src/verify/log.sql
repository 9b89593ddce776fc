SELECT position, partition, computed, computed = payload_hash, CASE WHEN computed = payload_hash THEN '' ELSE event_type END
FROM (
    SELECT position, partition, payload_hash, event_type,
           encode(substring(sha256(convert_to(payload::text, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid AS computed
    FROM events
    WHERE position > $1 AND position <= $2
    OFFSET 0
) e
ORDER BY position
