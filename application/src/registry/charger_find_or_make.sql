-- The update changes nothing; it makes the row that was there come back.
INSERT INTO charger_registry (charge_point_id, tenant_id, identity)
VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, identity) DO UPDATE SET identity = excluded.identity
RETURNING charge_point_id
