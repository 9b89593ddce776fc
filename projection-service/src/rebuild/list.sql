-- Every build that has a table, and how far it is. `$1`: of one model; null: of all.
SELECT b.build_id, b.model, b.number, b.fold_version, b.state, b.created_at, b.live_since_position,
       CASE b.state WHEN 'building' THEN coalesce(p.position, 0) ELSE r.position END AS position,
       h.position AS head,
       pg_total_relation_size(format('%I.%I', b.table_schema, b.model)::regclass) AS bytes,
       (SELECT count(*) FROM views.parked_keys k WHERE k.build_id = b.build_id) AS parked
FROM views.builds b
CROSS JOIN views.reached() r
CROSS JOIN log_head h
LEFT JOIN LATERAL (SELECT min(q.position) AS position FROM views.build_progress q WHERE q.build_id = b.build_id) p ON true
WHERE b.table_schema IS NOT NULL AND ($1::text IS NULL OR b.model = $1)
ORDER BY b.model, b.number
