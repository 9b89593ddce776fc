-- Of each of some keys ($1) the newest version at a position ($2) or before it.
SELECT NULL::bigint, NULL::bigint, '{model}' AS model, v.*
FROM unnest($1::text[]) AS k (key)
CROSS JOIN LATERAL (
    (SELECT key, partition, generation, position, removed, row::text, NULL::bigint AS until
     FROM views.{model} t WHERE t.key = k.key AND t.position <= $2)
    UNION ALL
    (SELECT key, partition, generation, position, removed, row::text, until
     FROM history.{model} t WHERE t.key = k.key AND t.position <= $2 ORDER BY t.position DESC LIMIT 1)
    ORDER BY position DESC LIMIT 1
) v
