-- Of each read model that serves. What waits is counted no further than 100,000: it is a sign, not a sum.
SELECT b.model, count(k.build_id),
       coalesce(extract(epoch FROM clock_timestamp() - min(k.parked_at)), 0)::float8,
       (SELECT count(*) FROM (SELECT FROM views.parked_events e WHERE e.build_id = b.build_id LIMIT 100000) e)
FROM views.builds b
LEFT JOIN views.parked_keys k USING (build_id)
WHERE b.state = 'live'
GROUP BY b.build_id, b.model
ORDER BY b.model
