-- Some of the rows in which two builds of a read model differ, and the position of the last event that made one of them.
SELECT coalesce(l.key, s.key) AS key, l.row, s.row, coalesce(s.made_by, l.made_by) AS made_by
FROM (SELECT key, row, position AS made_by FROM views.{model} WHERE NOT removed) l
FULL JOIN (SELECT key, row, position AS made_by FROM shadow.{model} WHERE NOT removed) s ON s.key = l.key
WHERE l.row IS DISTINCT FROM s.row
ORDER BY 1
LIMIT $1
