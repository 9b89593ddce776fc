-- Whether events of these ids were committed, and where: each the first of its write.
SELECT e.position, e.sequence, e.generation, e.recorded_at
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS w (type, id, event_id, n)
JOIN streams s ON s.id = w.id AND s.type = w.type
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE aggregate_id = w.id::text AND aggregate_type = w.type AND event_id = w.event_id
      AND position >= s.first_position AND position <= s.last_position
) e
ORDER BY w.n
