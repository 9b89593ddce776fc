-- How long a stream was at two positions, by what the log has, and the next sequence that it has after that: where it is not
-- the following one, those between them are elsewhere.
SELECT l.length,
       CASE WHEN l.length >= s.version OR at.position < s.first_position THEN l.length + 1
            ELSE coalesce((SELECT e.sequence FROM events e
                           WHERE e.aggregate_id = s.id::text AND e.aggregate_type = s.type AND e.sequence > l.length
                             AND e.position >= s.first_position AND e.position <= s.last_position
                           ORDER BY e.sequence LIMIT 1), s.version + 1) END,
       s.version, s.first_position
FROM streams s
CROSS JOIN unnest(ARRAY[$3::bigint, $4::bigint]) WITH ORDINALITY AS at (position, number)
CROSS JOIN LATERAL (SELECT log_sequence_at(s.type, s.id, at.position) OFFSET 0) AS l (length)
WHERE s.id = $1 AND s.type = $2
ORDER BY at.number
