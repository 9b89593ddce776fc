-- Charge points of a tenant that have, or had at a boundary, this identity.
SELECT key FROM views.charge_points WHERE tenant_id = $1 AND identity = $2
UNION SELECT key FROM history.charge_points WHERE tenant_id = $1 AND identity = $2
