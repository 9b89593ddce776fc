-- Between which positions the events of a stream lie that come after one sequence: those of its first and last, or of the
-- last one before that the log has.
SELECT coalesce(
           (SELECT e.position FROM events e
            WHERE e.aggregate_id = s.id::text AND e.aggregate_type = s.type AND e.sequence <= $3
              AND e.position >= s.first_position AND e.position <= s.last_position
            ORDER BY e.sequence DESC LIMIT 1),
           s.first_position - 1),
       s.last_position
FROM streams s
WHERE s.id = $1 AND s.type = $2
