-- As log_kept_after (migration 0430); what is in an archive counts as kept where the program reads archives.
SELECT coalesce(max(r.last), 0)
FROM log_ranges r
CROSS JOIN unnest($1::smallint[]) AS class
WHERE r.first <= (SELECT h.position FROM log_head h)
  AND NOT EXISTS (
      SELECT FROM pg_inherits i JOIN pg_class leaf ON leaf.oid = i.inhrelid
      WHERE i.inhparent = log_class_table(class)::regclass
        AND leaf.relname = format('%s_%s', log_class_table(class), r.first))
  AND NOT ($2 AND EXISTS (
      SELECT FROM log_archives a WHERE a.retention = class AND a.first = r.first AND a.detached_at IS NOT NULL))
