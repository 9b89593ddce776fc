-- A row where an edge, and not this process, holds the edge's lease.
SELECT 1 FROM leases WHERE name = $1 AND partition = 0 AND holder <> $2 AND until > clock_timestamp()
