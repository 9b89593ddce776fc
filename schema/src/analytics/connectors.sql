-- Connectors of charge points, each with what its charger has last said of it.
-- max_power_w: What it can give, in W
-- status: available, occupied, preparing, charging, suspended, finishing, reserved, unavailable or faulted
-- ocpp_status: The same in the charger's words
-- status_at: When the charger was in this status first, or said so last
SELECT (r.row ->> 'charge_point_id')::uuid AS charge_point_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       r.row #>> '{charge_point,identity}' AS identity,
       (evse ->> 'evse_id')::bigint AS evse_id,
       (connector ->> 'connector_id')::bigint AS connector_id,
       connector ->> 'type' AS connector_type,
       (connector ->> 'max_power_w')::bigint AS max_power_w,
       report ->> 'status' AS status,
       report ->> 'ocpp_status' AS ocpp_status,
       report ->> 'error_code' AS error_code,
       report ->> 'vendor_error_code' AS vendor_error_code,
       analytics.moment(report ->> 'at') AS status_at,
       r.position
FROM views.charge_points r
CROSS JOIN LATERAL jsonb_array_elements(r.row #> '{charge_point,evses}') evse
CROSS JOIN LATERAL jsonb_array_elements(evse -> 'connectors') connector
LEFT JOIN LATERAL (
    SELECT x AS report FROM jsonb_array_elements(r.row #> '{charge_point,reports}') x
    WHERE x #> '{outlet,evse_id}' = evse -> 'evse_id' AND x #> '{outlet,connector_id}' = connector -> 'connector_id'
    LIMIT 1
) last_report ON true
WHERE NOT r.removed
