DELETE FROM refresh_families
WHERE user_id = $1
  AND (expires_at <= $2
       OR family_id IN (SELECT family_id FROM refresh_families WHERE user_id = $1
                        ORDER BY rotated_at DESC, family_id DESC OFFSET $3))
