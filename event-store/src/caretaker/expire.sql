-- Not what an append has just locked to reuse it.
DELETE FROM commands WHERE (scope, key) IN (
    SELECT scope, key FROM commands WHERE expires_at < clock_timestamp() ORDER BY expires_at LIMIT $1
    FOR UPDATE SKIP LOCKED
)
