INSERT INTO leases AS l (name, partition, holder, epoch, until)
VALUES ($1, $2, $3, 1, clock_timestamp() + make_interval(secs => $4))
ON CONFLICT (name, partition) DO UPDATE
SET holder = excluded.holder, until = excluded.until,
    epoch = l.epoch + CASE WHEN l.holder = excluded.holder AND l.until > clock_timestamp() THEN 0 ELSE 1 END
WHERE l.until <= clock_timestamp() OR l.holder = excluded.holder
RETURNING epoch
