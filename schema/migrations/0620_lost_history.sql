-- What was read of a history that the log has lost since is not written down where the log goes on without it: a batch, a state
-- or a checkpoint may have waited for a connection while another server was promoted, and find its lease and its run there.

-- As in migration 0420, and only of the log as it is: not above its end, and not from another generation.
CREATE OR REPLACE FUNCTION views.advance(own_run uuid, upto bigint, touched smallint[], checkpoints bigint[],
                                         blocks bigint[], events int[], digests bytea[], tell boolean)
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- A client that freezes before its commit (there is a moment only behind a pooler) must not keep a successor waiting.
    PERFORM set_config('idle_in_transaction_session_timeout', '3s', true);

    UPDATE views.runs r SET position = upto FROM log_head h
    WHERE r.run = own_run AND r.generation = h.generation AND upto <= h.position;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'CV001',
            MESSAGE = 'the run has ended: its partitions were claimed again, or the log is not the one that it was begun on';
    END IF;

    UPDATE views.progress p
    SET position = t.position, digest_block = t.block, digest_events = t.events, digest = t.digest
    FROM unnest(touched, checkpoints, blocks, events, digests) AS t (partition, position, block, events, digest)
    WHERE p.partition = t.partition AND p.run = own_run;

    IF tell THEN
        PERFORM pg_notify('coulomb_views', upto::text);
    END IF;
END $$;
