SELECT retention, first, last, url, manifest_sha256, events
FROM log_archives
WHERE detached_at IS NOT NULL
ORDER BY first, retention
