-- A state above its stream's version is of a history that was lost.
SELECT a.version, a.state::text
FROM aggregate_states a
JOIN streams s ON s.id = a.id AND s.type = a.type AND s.version >= a.version
WHERE a.id = $1 AND a.type = $2 AND a.fold_version = $3
