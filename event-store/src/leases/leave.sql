WITH gone AS (DELETE FROM lease_workers WHERE name = $1 AND worker = $2)
UPDATE leases SET holder = NULL, until = clock_timestamp() WHERE name = $1 AND holder = $2
