-- The streams of read models that may have events in archives.
SELECT s.id
FROM streams s
WHERE s.type = 'ReadModel' AND s.version > 0
  AND EXISTS (
      SELECT FROM log_archives a
      WHERE a.detached_at IS NOT NULL AND a.retention = ANY ($1)
        AND a.first <= s.last_position AND a.last >= s.first_position)
