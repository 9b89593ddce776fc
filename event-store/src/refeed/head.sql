WITH head AS (
    UPDATE log_head h
    SET position = e.position, generation = e.generation, recorded_at = e.recorded_at
    FROM events e
    WHERE e.position = $2 AND h.position = $1
    RETURNING h.position
)
SELECT pg_notify('coulomb_log', 'refeed') FROM head
