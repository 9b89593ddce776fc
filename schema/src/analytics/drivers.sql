-- Drivers, by id: who they are is in no view.
-- plan_id: The plan that is active; null: none
SELECT (r.row ->> 'driver_id')::uuid AS driver_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       (r.row #>> '{driver,plan_id}')::uuid AS plan_id,
       analytics.moment(r.row ->> 'registered_at') AS registered_at,
       r.position
FROM views.drivers r
WHERE NOT r.removed
