WITH ours AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname IN ('public', 'views', 'shadow', 'history', 'analytics')
), relations AS (
    SELECT c.*, format('%s.%s', n.nspname, c.relname) AS name
    FROM pg_class c JOIN ours n ON n.oid = c.relnamespace WHERE c.relname NOT LIKE '\_sqlx%'
)
SELECT 'schema ' || nspname AS line FROM ours
UNION ALL
SELECT format('relation %s: %s, %s, %s, %s', r.name, r.relkind, r.reloptions, r.relpersistence,
              pg_get_expr(r.relpartbound, r.oid))
FROM relations r
UNION ALL
-- Their order too: rows are written by it.
SELECT format('column %s %s %s: %s, %s, %s, %s, %s, %s, %s', r.name,
              row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), a.attname,
              format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attstorage,
              (SELECT collname FROM pg_collation l WHERE l.oid = a.attcollation),
              (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = r.oid AND d.adnum = a.attnum))
FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid
WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind IN ('r', 'p', 'v', 'm', 'c')
UNION ALL
SELECT format('constraint %s %s: %s', r.name, k.conname, pg_get_constraintdef(k.oid))
FROM relations r JOIN pg_constraint k ON k.conrelid = r.oid
UNION ALL
SELECT format('index %s: %s', r.name, pg_get_indexdef(r.oid)) FROM relations r WHERE r.relkind IN ('i', 'I')
UNION ALL
SELECT format('view %s: %s', r.name, pg_get_viewdef(r.oid)) FROM relations r WHERE r.relkind = 'v'
UNION ALL
SELECT format('trigger %s: %s', r.name, pg_get_triggerdef(t.oid))
FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT format('inherits %s: %s', r.name, i.inhparent::regclass)
FROM relations r JOIN pg_inherits i ON i.inhrelid = r.oid
UNION ALL
SELECT format('function %s: %s', p.oid::regprocedure, pg_get_functiondef(p.oid))
FROM pg_proc p JOIN ours n ON n.oid = p.pronamespace
UNION ALL
SELECT format('comment on %s: %s', r.name, obj_description(r.oid, 'pg_class'))
FROM relations r WHERE obj_description(r.oid, 'pg_class') IS NOT NULL
ORDER BY line
