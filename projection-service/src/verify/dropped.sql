-- Ranges of which a retention class has no table any more, as far as the head.
SELECT r.first, r.last
FROM log_ranges r
WHERE r.first <= (SELECT h.position FROM log_head h)
  AND EXISTS (
      SELECT FROM unnest(ARRAY['events_ledger', 'events_operational', 'events_telemetry']) AS parent
      WHERE NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class leaf ON leaf.oid = i.inhrelid
                        WHERE i.inhparent = parent::regclass AND leaf.relname = format('%s_%s', parent, r.first)))
ORDER BY r.first
