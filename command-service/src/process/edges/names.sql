-- Each edge that is said to hold a charger. One step in the index for each, however many chargers they have.
WITH RECURSIVE edges (name) AS (
    (SELECT (row -> 'charge_point' ->> 'edge') COLLATE "C" AS name FROM views.charge_points
     WHERE row -> 'charge_point' ->> 'edge' IS NOT NULL ORDER BY name LIMIT 1)
    UNION ALL
    SELECT (SELECT (row -> 'charge_point' ->> 'edge') COLLATE "C" AS next FROM views.charge_points
            WHERE row -> 'charge_point' ->> 'edge' IS NOT NULL
              AND (row -> 'charge_point' ->> 'edge') COLLATE "C" > edges.name ORDER BY next LIMIT 1)
    FROM edges WHERE edges.name IS NOT NULL
)
SELECT name FROM edges WHERE name IS NOT NULL
