SELECT partition, holder, epoch FROM leases
WHERE name = $1 AND holder IS NOT NULL AND until <= clock_timestamp()
ORDER BY partition
