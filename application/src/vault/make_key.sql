INSERT INTO vault_keys (key_id, subject, wrapped)
VALUES ($1, $2, $3)
ON CONFLICT (subject) DO NOTHING
RETURNING key_id
