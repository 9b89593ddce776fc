-- The rows of some keys of each read model, and how far they all are, in one snapshot.
SELECT a.generation, a.position, r.*, pg_is_in_recovery() AS of_standby
FROM views.reached() a
LEFT JOIN (
    SELECT 'charge_points' AS model, key, partition, generation, position, removed, row::text
    FROM views.charge_points WHERE key = ANY ($1::text[])
    UNION ALL SELECT 'sessions' AS model, key, partition, generation, position, removed, row::text
    FROM views.sessions WHERE key = ANY ($2::text[])
    UNION ALL SELECT 'meter_values' AS model, key, partition, generation, position, removed, row::text
    FROM views.meter_values WHERE key = ANY ($3::text[])
    UNION ALL SELECT 'commands' AS model, key, partition, generation, position, removed, row::text
    FROM views.commands WHERE key = ANY ($4::text[])
    UNION ALL SELECT 'drivers' AS model, key, partition, generation, position, removed, row::text
    FROM views.drivers WHERE key = ANY ($5::text[])
    UNION ALL SELECT 'tokens' AS model, key, partition, generation, position, removed, row::text
    FROM views.tokens WHERE key = ANY ($6::text[])
    UNION ALL SELECT 'sites' AS model, key, partition, generation, position, removed, row::text
    FROM views.sites WHERE key = ANY ($7::text[])
    UNION ALL SELECT 'tariffs' AS model, key, partition, generation, position, removed, row::text
    FROM views.tariffs WHERE key = ANY ($8::text[])
    UNION ALL SELECT 'plans' AS model, key, partition, generation, position, removed, row::text
    FROM views.plans WHERE key = ANY ($9::text[])
) r ON true
