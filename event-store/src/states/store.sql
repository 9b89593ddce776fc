-- A newer one stands; one of another fold is replaced. Only from the history that the log has.
INSERT INTO aggregate_states AS a (id, type, version, fold_version, state)
SELECT $1, $2, $3, $4, $5::text::json FROM log_head h WHERE h.generation = $6
ON CONFLICT (id, type) DO UPDATE
SET version = excluded.version, fold_version = excluded.fold_version, state = excluded.state
WHERE a.fold_version <> excluded.fold_version OR a.version < excluded.version
