-- Tariffs in their newest version.
-- elements: The tariff's elements, as OCPI defines them
SELECT (r.row ->> 'tariff_id')::uuid AS tariff_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       (r.row #>> '{tariff,version}')::bigint AS version,
       r.row #>> '{tariff,name}' AS name,
       t ->> 'currency' AS currency,
       (t ->> 'tax_included')::boolean AS tax_included,
       (t ->> 'min_price')::numeric AS min_price,
       t -> 'taxes' AS taxes,
       t -> 'elements' AS elements,
       analytics.moment(t ->> 'valid_from') AS valid_from,
       analytics.moment(t ->> 'valid_to') AS valid_to,
       analytics.moment(r.row ->> 'published_at') AS published_at,
       r.position
FROM views.tariffs r CROSS JOIN LATERAL (SELECT r.row #> '{tariff,tariff}' AS t OFFSET 0) tariff
WHERE NOT r.removed
