-- One that lapsed without being taken is still its holder's. For a release, `until` is now and nobody holds it.
UPDATE leases
SET until = clock_timestamp() + make_interval(secs => $5), holder = CASE WHEN $5 > 0 THEN holder END
WHERE name = $1 AND partition = $2 AND holder = $3 AND epoch = $4
