-- Commands of drivers, operators and the system itself, with what became of them.
-- kind: What was asked for, such as start_charging
-- state: requested, sent, accepted, done, rejected, failed, timed_out or expired
-- reason: Why not, where it did not succeed
-- answer: The charger's answer, verbatim
-- requested_by_kind: Who asked: driver, operator, charger, system or partner
-- duration_s: From the request to its end, in seconds
SELECT (r.row ->> 'command_id')::uuid AS command_id,
       (r.row ->> 'tenant_id')::uuid AS tenant_id,
       r.row ->> 'kind' AS kind,
       r.row ->> 'state' AS state,
       r.row ->> 'reason' AS reason,
       nullif(r.row -> 'answer', 'null'::jsonb) AS answer,
       (r.row ->> 'charge_point_id')::uuid AS charge_point_id,
       (r.row ->> 'session_id')::uuid AS session_id,
       r.row #>> '{requested_by,kind}' AS requested_by_kind,
       r.row #>> '{requested_by,id}' AS requested_by_id,
       analytics.moment(r.row ->> 'requested_at') AS requested_at,
       analytics.moment(r.row ->> 'settled_at') AS settled_at,
       extract(epoch FROM analytics.moment(r.row ->> 'settled_at') - analytics.moment(r.row ->> 'requested_at')) AS duration_s,
       r.position
FROM views.commands r
WHERE NOT r.removed
