-- Locked in the order in which a commit asserts them, so that the two never wait for each other.
WITH gone AS (
    DELETE FROM lease_workers WHERE name = $1 AND worker = $2
), mine AS (
    SELECT partition FROM leases WHERE name = $1 AND holder = $2 ORDER BY partition FOR NO KEY UPDATE
)
UPDATE leases l SET holder = NULL, until = clock_timestamp()
FROM mine WHERE l.name = $1 AND l.partition = mine.partition
