UPDATE refresh_families
SET number = $2, digest = $3, rotated_at = $4, expires_at = $5
WHERE family_id = $1
