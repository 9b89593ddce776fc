INSERT INTO vault_keys (key_id, subject, wrapped, destroy_after)
VALUES ($1, $2, $3, now() + make_interval(days => $4))
ON CONFLICT (subject) WHERE retired_at IS NULL DO NOTHING
RETURNING key_id
