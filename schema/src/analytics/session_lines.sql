-- What the cost of a session is made of, line by line.
-- line: Number of the line, from 1
-- kind: energy, time, parking_time or flat
-- price: Price of one unit, without rounding
-- amount: What the line costs, before the total is rounded
SELECT (r.row ->> 'session_id')::uuid AS session_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       item.number AS line,
       item.line ->> 'kind' AS kind,
       (item.line ->> 'element')::bigint AS tariff_element,
       (item.line ->> 'price')::numeric AS price,
       (item.line ->> 'energy_wh')::numeric AS energy_wh,
       (item.line ->> 'billed_energy_wh')::numeric AS billed_energy_wh,
       (item.line ->> 'time_s')::numeric AS time_s,
       (item.line ->> 'billed_time_s')::numeric AS billed_time_s,
       (item.line ->> 'amount')::numeric AS amount,
       r.row #>> '{cost,priced,total,currency}' AS currency,
       r.position
FROM views.sessions r
CROSS JOIN LATERAL jsonb_array_elements(r.row #> '{cost,priced,lines}') WITH ORDINALITY AS item (line, number)
WHERE NOT r.removed AND jsonb_typeof(r.row #> '{cost,priced,lines}') = 'array'
