-- The update changes nothing; it makes the row that was there come back.
INSERT INTO token_index (tenant_id, value_hash, token_id)
VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, value_hash) DO UPDATE SET token_id = token_index.token_id
RETURNING token_id
