-- Charge points as they are now.
-- charge_point_id: Id of the charge point, which is its stream
-- identity: What the charger calls itself
-- online: Whether it has an authenticated socket
-- online_changed_at: Since when
-- connectors: How many connectors it has
-- position: Position of the event that changed it last
SELECT (r.row ->> 'charge_point_id')::uuid AS charge_point_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       c ->> 'identity' AS identity,
       (c ->> 'site_id')::uuid AS site_id,
       (c ->> 'online')::boolean AS online,
       analytics.moment(c ->> 'online_changed_at') AS online_changed_at,
       c ->> 'protocol' AS protocol,
       c ->> 'edge' AS edge,
       c #>> '{boot,vendor}' AS vendor,
       c #>> '{boot,model}' AS model,
       c #>> '{boot,serial_number}' AS serial_number,
       c #>> '{boot,firmware_version}' AS firmware_version,
       c ->> 'firmware_status' AS firmware_status,
       c ->> 'diagnostics_status' AS diagnostics_status,
       (SELECT count(*) FROM jsonb_array_elements(c -> 'evses') evse, jsonb_array_elements(evse -> 'connectors') x) AS connectors,
       jsonb_array_length(c -> 'open_commands') AS open_commands,
       analytics.moment(r.row ->> 'booted_at') AS booted_at,
       analytics.moment(r.row ->> 'registered_at') AS registered_at,
       r.position
FROM views.charge_points r CROSS JOIN LATERAL (SELECT r.row -> 'charge_point' AS c OFFSET 0) charge_point
WHERE NOT r.removed
