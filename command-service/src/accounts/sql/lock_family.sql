SELECT f.number, f.digest, f.rotated_at, f.expires_at, a.user_id, a.tenant_id, a.role, a.password_hash, a.in_log
FROM refresh_families f
JOIN accounts a USING (user_id)
WHERE f.family_id = $1
FOR UPDATE OF f
