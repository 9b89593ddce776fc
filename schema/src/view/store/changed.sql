-- What has changed after a cursor of each partition ($1, from partition 0 on) and after a position ($2), in the order
-- of positions, and how far each partition is, in one snapshot. The scan begins at the lowest cursor ($3).
SELECT a.generation, a.position, r.*, a.partitions
FROM views.reached() a
LEFT JOIN LATERAL (
    SELECT * FROM (
        (SELECT 'charge_points' AS model, key, partition, generation, position, removed, row::text
        FROM views.charge_points WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
        UNION ALL (SELECT 'sessions' AS model, key, partition, generation, position, removed, row::text
        FROM views.sessions WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
        UNION ALL (SELECT 'meter_values' AS model, key, partition, generation, position, removed, row::text
        FROM views.meter_values WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
        UNION ALL (SELECT 'commands' AS model, key, partition, generation, position, removed, row::text
        FROM views.commands WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
        UNION ALL (SELECT 'drivers' AS model, key, partition, generation, position, removed, row::text
        FROM views.drivers WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
        UNION ALL (SELECT 'tokens' AS model, key, partition, generation, position, removed, row::text
        FROM views.tokens WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
        UNION ALL (SELECT 'sites' AS model, key, partition, generation, position, removed, row::text
        FROM views.sites WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
        UNION ALL (SELECT 'tariffs' AS model, key, partition, generation, position, removed, row::text
        FROM views.tariffs WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
        UNION ALL (SELECT 'plans' AS model, key, partition, generation, position, removed, row::text
        FROM views.plans WHERE position > $3 AND position > $2 AND position > ($1::bigint[])[partition + 1]
        ORDER BY position LIMIT $4)
    ) changed ORDER BY position LIMIT $4
) r ON true
