-- Ranges of which a retention class has no table any more, as far as the head; those apart, if wanted, that are in archives.
SELECT r.first, r.last
FROM log_ranges r
WHERE r.first <= (SELECT h.position FROM log_head h)
  AND EXISTS (
      SELECT FROM generate_series(1, 3) AS class
      WHERE NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class leaf ON leaf.oid = i.inhrelid
                        WHERE i.inhparent = log_class_table(class::smallint)::regclass
                          AND leaf.relname = format('%s_%s', log_class_table(class::smallint), r.first))
        AND NOT ($1 AND EXISTS (SELECT FROM log_archives a
                                WHERE a.retention = class AND a.first = r.first AND a.detached_at IS NOT NULL)))
ORDER BY r.first
