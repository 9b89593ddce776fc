-- How many rows two builds of a read model have, and in how many they differ. What was removed is not there.
SELECT count(l.key), count(s.key),
       count(*) FILTER (WHERE s.key IS NULL),
       count(*) FILTER (WHERE l.key IS NULL),
       count(*) FILTER (WHERE l.row IS DISTINCT FROM s.row AND l.key IS NOT NULL AND s.key IS NOT NULL)
FROM (SELECT key, row FROM views.{model} WHERE NOT removed) l
FULL JOIN (SELECT key, row FROM shadow.{model} WHERE NOT removed) s ON s.key = l.key
