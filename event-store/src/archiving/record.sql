-- What was read back and found right is written down, if the log has the range: only then may an archive take the place of
-- another.
WITH attached AS (
    SELECT FROM pg_inherits i JOIN pg_class leaf ON leaf.oid = i.inhrelid
    WHERE i.inhparent = log_class_table($1)::regclass AND leaf.relname = format('%s_%s', log_class_table($1), $2::bigint)
), noted AS (
    INSERT INTO log_archives AS a (retention, first, last, url, manifest_sha256, events, bytes, verified_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, clock_timestamp() FROM attached
    ON CONFLICT (retention, first) DO UPDATE
    SET last = excluded.last, url = excluded.url, manifest_sha256 = excluded.manifest_sha256, events = excluded.events,
        bytes = excluded.bytes, archived_at = clock_timestamp(), verified_at = excluded.verified_at
    WHERE a.detached_at IS NULL
    RETURNING url
)
UPDATE log_archive_folders f
SET state = CASE WHEN f.url = noted.url THEN 'recorded' ELSE 'left' END, done = NULL
FROM noted
WHERE f.retention = $1 AND f.first = $2 AND (f.url = noted.url OR f.state = 'recorded')
