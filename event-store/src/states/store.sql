-- A newer one stands; one of another fold is replaced. Only from the history that the log has: of its generation, and not above
-- what the stream has come to, since a server that was promoted a moment ago is of that generation still.
INSERT INTO aggregate_states AS a (id, type, version, fold_version, state)
SELECT $1, $2, $3, $4, $5::text::json FROM log_head h
WHERE h.generation = $6 AND EXISTS (SELECT FROM streams s WHERE s.id = $1 AND s.type = $2 AND s.version >= $3)
ON CONFLICT (id, type) DO UPDATE
SET version = excluded.version, fold_version = excluded.fold_version, state = excluded.state
WHERE a.fold_version <> excluded.fold_version OR a.version < excluded.version
