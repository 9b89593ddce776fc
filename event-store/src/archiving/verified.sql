-- One that is detached stays verified: there is nothing to go back to.
UPDATE log_archives
SET verified_at = CASE WHEN $4 THEN clock_timestamp() WHEN detached_at IS NOT NULL THEN verified_at END
WHERE retention = $1 AND first = $2 AND manifest_sha256 = $3
