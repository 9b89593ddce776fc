-- Tokens such as cards, without their values.
-- token_type: Kind of the token, such as ISO14443
SELECT (r.row ->> 'token_id')::uuid AS token_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       r.row #>> '{token,details,type}' AS token_type,
       (r.row #>> '{token,details,driver_id}')::uuid AS driver_id,
       (r.row #>> '{token,blocked}')::boolean AS blocked,
       analytics.moment(r.row #>> '{token,details,expires_at}') AS expires_at,
       analytics.moment(r.row ->> 'registered_at') AS registered_at,
       r.position
FROM views.tokens r
WHERE NOT r.removed
