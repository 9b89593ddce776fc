INSERT INTO refresh_families (family_id, user_id, device_id, number, digest, rotated_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT ON CONSTRAINT refresh_families_device DO UPDATE
SET family_id = excluded.family_id, number = excluded.number, digest = excluded.digest,
    rotated_at = excluded.rotated_at, expires_at = excluded.expires_at
