-- Sites: where charge points stand.
-- tariff_id: What charging costs there, unless a plan says otherwise
SELECT (r.row ->> 'site_id')::uuid AS site_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       d ->> 'name' AS name,
       d #>> '{address,street}' AS street,
       d #>> '{address,postal_code}' AS postal_code,
       d #>> '{address,city}' AS city,
       d #>> '{address,country}' AS country,
       (d #>> '{coordinates,latitude}')::double precision AS latitude,
       (d #>> '{coordinates,longitude}')::double precision AS longitude,
       d ->> 'time_zone' AS time_zone,
       d ->> 'currency' AS currency,
       (d ->> 'tariff_id')::uuid AS tariff_id,
       analytics.moment(r.row ->> 'registered_at') AS registered_at,
       r.position
FROM views.sites r CROSS JOIN LATERAL (SELECT r.row #> '{site,details}' AS d OFFSET 0) details
WHERE NOT r.removed
