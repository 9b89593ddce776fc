-- Plans in their newest version: what drivers subscribe to.
SELECT (r.row ->> 'plan_id')::uuid AS plan_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       (r.row #>> '{plan,version}')::bigint AS version,
       r.row #>> '{plan,details,name}' AS name,
       (r.row #>> '{plan,details,tariff_id}')::uuid AS tariff_id,
       analytics.moment(r.row ->> 'published_at') AS published_at,
       r.position
FROM views.plans r
WHERE NOT r.removed
