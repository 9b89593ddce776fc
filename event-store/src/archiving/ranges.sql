-- Whole ranges below the head, with what is known of each of a class. `attached`: the log has it.
SELECT r.first, r.last,
       EXISTS (SELECT FROM pg_inherits i JOIN pg_class leaf ON leaf.oid = i.inhrelid
               WHERE i.inhparent = log_class_table($1)::regclass
                 AND leaf.relname = format('%s_%s', log_class_table($1), r.first)) AS attached,
       a.url, a.manifest_sha256, a.events, a.bytes, a.archived_at, a.verified_at, a.detached_at
FROM log_ranges r
LEFT JOIN log_archives a ON a.retention = $1 AND a.first = r.first
WHERE r.last <= (SELECT h.position FROM log_head h)
ORDER BY r.first
