-- Written anew where an earlier one was not detached yet; a range that is detached keeps what is known of it.
INSERT INTO log_archives AS a (retention, first, last, url, manifest_sha256, events, bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (retention, first) DO UPDATE
SET last = excluded.last, url = excluded.url, manifest_sha256 = excluded.manifest_sha256, events = excluded.events,
    bytes = excluded.bytes, archived_at = clock_timestamp(), verified_at = NULL
WHERE a.detached_at IS NULL
