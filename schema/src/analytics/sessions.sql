-- Charging sessions as they are now, with energy and cost.
-- state: requested, active, stopping, completed or failed
-- energy_wh: Imported by the car, in Wh; null: unknown
-- energy_exported_wh: Fed back by the car, in Wh; null: unknown
-- duration_s: From start to stop, in seconds; of one that runs, to its last reading
-- cost_total: What it costs, taxes included, in cost_currency; so far, as long as it runs
-- cost_before_taxes: The same without taxes
-- cost_estimated: Whether something that it was calculated from is in doubt
-- price_revision: 0 while it runs, then the number of the final price
-- flags: What did not fit, as a list of words
-- position: Position of the event that changed it last
SELECT (r.row ->> 'session_id')::uuid AS session_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       s ->> 'state' AS state,
       (s ->> 'charge_point_id')::uuid AS charge_point_id,
       (s ->> 'evse_id')::bigint AS evse_id,
       (s ->> 'connector_id')::bigint AS connector_id,
       s ->> 'transaction_id' AS transaction_id,
       (s ->> 'driver_id')::uuid AS driver_id,
       (s ->> 'token_id')::uuid AS token_id,
       (s #>> '{authorization,plan_id}')::uuid AS plan_id,
       (s #>> '{pricing,tariff_id}')::uuid AS tariff_id,
       (s #>> '{pricing,version}')::bigint AS tariff_version,
       analytics.moment(s ->> 'requested_at') AS requested_at,
       analytics.moment(s ->> 'started_at') AS started_at,
       analytics.moment(s ->> 'stopped_at') AS stopped_at,
       analytics.moment(s ->> 'departed_at') AS departed_at,
       extract(epoch FROM coalesce(analytics.moment(s ->> 'stopped_at'), analytics.moment(s ->> 'metered_at'))
                          - analytics.moment(s ->> 'started_at')) AS duration_s,
       s ->> 'stop_reason' AS stop_reason,
       s ->> 'charging_state' AS charging_state,
       coalesce(CASE WHEN (s #>> '{meter,import,known}')::boolean
                     THEN (s #>> '{meter,import,finished_wh}')::numeric + (s #>> '{meter,import,last,wh}')::numeric
                          - (s #>> '{meter,import,baseline_wh}')::numeric END,
                (s #>> '{meter,import_intervals_wh}')::numeric) AS energy_wh,
       coalesce(CASE WHEN (s #>> '{meter,export,known}')::boolean
                     THEN (s #>> '{meter,export,finished_wh}')::numeric + (s #>> '{meter,export,last,wh}')::numeric
                          - (s #>> '{meter,export,baseline_wh}')::numeric END,
                (s #>> '{meter,export_intervals_wh}')::numeric) AS energy_exported_wh,
       (s ->> 'power_w')::numeric AS power_w,
       (s ->> 'max_power_w')::bigint AS max_power_w,
       (s ->> 'soc_percent')::numeric AS soc_percent,
       analytics.moment(s ->> 'metered_at') AS metered_at,
       (r.row #>> '{cost,priced,total,amount}')::numeric AS cost_total,
       (r.row #>> '{cost,priced,before_taxes}')::numeric AS cost_before_taxes,
       r.row #>> '{cost,priced,total,currency}' AS cost_currency,
       (r.row #>> '{cost,priced,estimated}')::boolean AS cost_estimated,
       (s ->> 'price_revision')::bigint AS price_revision,
       s #>> '{failure,code}' AS failure_code,
       s #>> '{failure,detail}' AS failure_detail,
       s -> 'flags' AS flags,
       analytics.moment(r.row ->> 'recorded_at') AS recorded_at,
       r.position
FROM views.sessions r CROSS JOIN LATERAL (SELECT r.row -> 'session' AS s OFFSET 0) session
WHERE NOT r.removed
