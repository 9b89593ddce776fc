-- The streams that have events of a class between two positions, and no state from after them that can be loaded.
SELECT e.aggregate_type, e.aggregate_id::uuid, e.sequence
FROM (
    SELECT aggregate_type, aggregate_id, max(sequence) AS sequence
    FROM events
    WHERE retention = $1 AND position > $2 AND position <= $3
    GROUP BY aggregate_type, aggregate_id
) e
WHERE NOT EXISTS (
    SELECT FROM aggregate_states a
    JOIN streams s ON s.id = a.id AND s.type = a.type AND s.version >= a.version
    JOIN unnest($4::text[], $5::int[]) AS fold (type, version) ON fold.type = a.type AND fold.version = a.fold_version
    WHERE a.id = e.aggregate_id::uuid AND a.type = e.aggregate_type AND a.version >= e.sequence
)
ORDER BY e.aggregate_type, e.aggregate_id
