SELECT answer::text, body_hash, position FROM commands
WHERE scope = $1 AND key = $2 AND (expires_at IS NULL OR expires_at > clock_timestamp())
