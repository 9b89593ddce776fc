-- One round of a worker: it says that it lives, renews, gives back what is above its fair share, takes what is free up to
-- it. Answers what it then holds.
CREATE FUNCTION lease_round(n text, me uuid, ttl float8, partitions smallint)
RETURNS TABLE (o_partition smallint, o_epoch bigint)
LANGUAGE plpgsql AS $$
DECLARE
    now_    constant timestamptz := clock_timestamp();
    expires constant timestamptz := now_ + make_interval(secs => ttl);
    workers int;
    rank    int;
    fair    int;
    held    int;
BEGIN
    INSERT INTO lease_workers AS w (name, worker, until) VALUES (n, me, expires)
    ON CONFLICT (name, worker) DO UPDATE SET until = excluded.until;
    DELETE FROM lease_workers w WHERE w.ctid = ANY (ARRAY(
        SELECT d.ctid FROM lease_workers d WHERE d.name = n AND d.until < now_ - make_interval(secs => ttl)
        FOR UPDATE SKIP LOCKED));
    SELECT count(*), count(*) FILTER (WHERE w.worker < me) INTO workers, rank
    FROM lease_workers w WHERE w.name = n AND w.until > now_;
    -- The first ones have one more, where it doesn't come out even.
    fair := partitions / workers + CASE WHEN rank < partitions % workers THEN 1 ELSE 0 END;

    IF NOT EXISTS (SELECT FROM leases l WHERE l.name = n AND l.partition = partitions - 1) THEN
        INSERT INTO leases (name, partition) SELECT n, p FROM generate_series(0, partitions - 1) AS p
        ON CONFLICT DO NOTHING;
    END IF;

    -- In the order in which a commit asserts them, so that the two never wait for each other.
    PERFORM FROM leases l WHERE l.name = n AND l.holder = me ORDER BY l.partition FOR NO KEY UPDATE;
    UPDATE leases l SET until = expires WHERE l.name = n AND l.holder = me AND l.until > now_;
    -- What lapsed is not simply renewed: another may have been about to take it, and work may have been left undone.
    SELECT count(*) INTO held FROM leases l WHERE l.name = n AND l.holder = me AND l.until > now_;

    IF held > fair THEN
        UPDATE leases l SET holder = NULL, until = now_
        WHERE l.name = n AND l.partition IN (
            SELECT m.partition FROM leases m WHERE m.name = n AND m.holder = me ORDER BY m.partition DESC LIMIT held - fair);
    ELSIF held < fair THEN
        UPDATE leases l SET holder = me, until = expires, epoch = l.epoch + 1
        WHERE l.name = n AND l.partition IN (
            SELECT m.partition FROM leases m WHERE m.name = n AND m.until <= now_
            ORDER BY m.partition LIMIT fair - held FOR UPDATE SKIP LOCKED);
    END IF;

    RETURN QUERY SELECT l.partition, l.epoch FROM leases l
    WHERE l.name = n AND l.holder = me AND l.until > now_ ORDER BY l.partition;
END $$;
