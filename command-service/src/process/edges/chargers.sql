SELECT key, tenant_id, (row -> 'charge_point' ->> 'epoch')::bigint
FROM views.charge_points
WHERE (row -> 'charge_point' ->> 'edge') COLLATE "C" = $1 AND row -> 'charge_point' ->> 'edge' IS NOT NULL AND key > $2
ORDER BY key
LIMIT $3
