-- Every value that was sampled during sessions, one a row.
-- occurred_at: When it was measured; null where no clock could be trusted
-- value: What the charger wrote
-- number: The same as a number in the base unit (Wh, W), where it is one and its unit is known
-- measurand: What was measured; where the charger did not say, the energy register, as OCPP defines
SELECT (r.row ->> 'session_id')::uuid AS session_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       analytics.moment(r.row ->> 'received_at') AS received_at,
       analytics.moment(reading ->> 'occurred_at') AS occurred_at,
       coalesce(nullif(sampled ->> 'measurand', ''), 'Energy.Active.Import.Register') AS measurand,
       sampled ->> 'phase' AS phase,
       sampled ->> 'context' AS context,
       sampled ->> 'location' AS location,
       sampled ->> 'value' AS value,
       sampled ->> 'unit' AS unit,
       (sampled ->> 'multiplier')::bigint AS multiplier,
       CASE WHEN sampled ->> 'value' ~ '^\s*[+-]?\d{1,20}(\.\d{1,20})?\s*$'
                 AND coalesce((sampled ->> 'multiplier')::bigint, 0) BETWEEN -12 AND 12
            THEN (sampled ->> 'value')::numeric * 10 ^ coalesce((sampled ->> 'multiplier')::numeric, 0)
                 * CASE lower(sampled ->> 'unit') WHEN 'kwh' THEN 1000 WHEN 'mwh' THEN 1000000 WHEN 'kw' THEN 1000 ELSE 1 END
       END AS number,
       r.position
FROM views.meter_values r
CROSS JOIN LATERAL jsonb_array_elements(r.row -> 'readings') reading
CROSS JOIN LATERAL jsonb_array_elements(reading -> 'sampled') sampled
WHERE NOT r.removed
