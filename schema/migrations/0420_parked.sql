-- Keys that stand still in a build because of an event that it can't apply, and what each build has consumed.

-- The event at `position` could not be applied: that one and every later one of its partition key that may touch the read
-- model wait in order, until the key is released or the event is skipped (events of the log, domain::read_model).
CREATE TABLE views.parked_keys (
    build_id      bigint      NOT NULL REFERENCES views.builds,
    partition_key uuid        NOT NULL,
    partition     smallint    NOT NULL,
    position      bigint      NOT NULL,
    event_type    text        COLLATE "C" NOT NULL,
    error         text        NOT NULL,
    parked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (build_id, partition_key)
);

CREATE TABLE views.parked_events (
    build_id      bigint NOT NULL,
    partition_key uuid   NOT NULL,
    position      bigint NOT NULL,
    PRIMARY KEY (build_id, partition_key, position)
);

-- The first event that a build could not apply, of each key.
CREATE FUNCTION views.park(builds bigint[], keys uuid[], partitions smallint[], positions bigint[], types text[],
                           errors text[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO views.parked_keys (build_id, partition_key, partition, position, event_type, error)
    SELECT * FROM unnest(builds, keys, partitions, positions, types, errors)
$$;

-- That event, and those that come after it.
CREATE FUNCTION views.hold(builds bigint[], keys uuid[], positions bigint[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO views.parked_events (build_id, partition_key, position) SELECT * FROM unnest(builds, keys, positions)
$$;

-- What was parked below `rest` was applied; null: all of it. At `rest` it stands still again.
CREATE FUNCTION views.unpark(builds bigint[], keys uuid[], rests bigint[], types text[], errors text[]) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM views.parked_events e USING unnest(builds, keys, rests) AS n (build_id, partition_key, rest)
    WHERE e.build_id = n.build_id AND e.partition_key = n.partition_key AND (n.rest IS NULL OR e.position < n.rest);
    DELETE FROM views.parked_keys k USING unnest(builds, keys, rests) AS n (build_id, partition_key, rest)
    WHERE k.build_id = n.build_id AND k.partition_key = n.partition_key AND n.rest IS NULL;
    UPDATE views.parked_keys k SET position = n.rest, event_type = n.event_type, error = n.error
    FROM unnest(builds, keys, rests, types, errors) AS n (build_id, partition_key, rest, event_type, error)
    WHERE k.build_id = n.build_id AND k.partition_key = n.partition_key AND n.rest IS NOT NULL;
$$;

-- One parked event is left out for good.
CREATE FUNCTION views.leave_out(builds bigint[], keys uuid[], positions bigint[]) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM views.parked_events e USING unnest(builds, keys, positions) AS n (build_id, partition_key, position)
    WHERE e.build_id = n.build_id AND e.partition_key = n.partition_key AND e.position = n.position
$$;

-- What is parked goes with its build.
CREATE FUNCTION views.forget_parked() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM views.parked_events e WHERE e.build_id = NEW.build_id;
    DELETE FROM views.parked_keys k WHERE k.build_id = NEW.build_id;
    DELETE FROM views.consumed c WHERE c.build_id = NEW.build_id;
    RETURN NULL;
END $$;

CREATE TRIGGER forget_parked AFTER UPDATE OF state ON views.builds
FOR EACH ROW WHEN (NEW.state = 'dropped' AND OLD.state <> 'dropped') EXECUTE FUNCTION views.forget_parked();

-- What was consumed of each block of positions that is done with: the digest of log_digests, as the consumer computed it.
-- Build 0 stands for all live builds and those that have joined them, which consume together.
CREATE TABLE views.consumed (
    build_id  bigint   NOT NULL,
    partition smallint NOT NULL,
    block     bigint   NOT NULL,
    events    int      NOT NULL,
    digest    bytea    NOT NULL,
    PRIMARY KEY (build_id, block, partition)
);

CREATE FUNCTION views.consume(build bigint, partitions smallint[], blocks bigint[], events int[], digests bytea[])
RETURNS void
LANGUAGE sql AS $$
    INSERT INTO views.consumed (build_id, partition, block, events, digest)
    SELECT build, n.* FROM unnest(partitions, blocks, events, digests) AS n (partition, block, events, digest)
    ON CONFLICT (build_id, block, partition) DO UPDATE SET events = excluded.events, digest = excluded.digest
$$;

-- The digest of the block of positions under way, at the checkpoint. Of a block after `digest_block` nothing was consumed
-- yet. Null: not known, since what came before was consumed when no digests were kept.
ALTER TABLE views.progress ADD COLUMN digest_block bigint, ADD COLUMN digest_events int, ADD COLUMN digest bytea;

UPDATE views.progress p
SET digest_block = f.position / 65536, digest_events = 0,
    digest = CASE WHEN f.position % 65536 = 0 THEN decode(repeat('00', 32), 'hex') END
FROM (SELECT q.partition, greatest(q.position, r.position) AS position
      FROM views.progress q LEFT JOIN views.runs r ON r.run = q.run) f
WHERE f.partition = p.partition;

ALTER TABLE views.progress ALTER COLUMN digest_block SET NOT NULL, ALTER COLUMN digest_events SET NOT NULL;

-- The same of a build that is being made on its own.
ALTER TABLE views.build_progress
    ADD COLUMN digest_block bigint NOT NULL DEFAULT 0, ADD COLUMN digest_events int NOT NULL DEFAULT 0;

-- As in migration 0200, and with the digests.
DROP FUNCTION views.claim(uuid, smallint[]);
CREATE FUNCTION views.claim(new_run uuid, taken smallint[])
RETURNS TABLE (o_partition smallint, o_generation bigint, o_position bigint, o_digest_block bigint, o_digest_events int,
               o_digest bytea)
LANGUAGE plpgsql AS $$
DECLARE
    head log_head;
BEGIN
    LOCK TABLE views.runs IN SHARE ROW EXCLUSIVE MODE;

    UPDATE views.progress p
    SET generation = r.generation, position = greatest(p.position, r.position), run = NULL
    FROM views.runs r
    WHERE p.run = r.run AND r.run IN (SELECT q.run FROM views.progress q WHERE q.partition = ANY (taken));

    SELECT * INTO head FROM log_head;
    UPDATE views.progress p SET run = new_run, generation = head.generation WHERE p.partition = ANY (taken);
    IF EXISTS (SELECT FROM views.progress p WHERE p.run = new_run AND p.position > head.position) THEN
        RAISE EXCEPTION USING ERRCODE = 'CV002', MESSAGE = 'the read models are ahead of the log: they must be rebuilt';
    END IF;

    DELETE FROM views.runs r WHERE NOT EXISTS (SELECT FROM views.progress p WHERE p.run = r.run);

    INSERT INTO views.runs
    SELECT new_run, min(p.generation), min(p.position) FROM views.progress p WHERE p.run = new_run;

    RETURN QUERY SELECT p.partition, p.generation, p.position, p.digest_block, p.digest_events, p.digest
                 FROM views.progress p WHERE p.run = new_run;
END $$;

-- The same for all partitions, in a transaction that has ended the runs (views.end_runs).
CREATE FUNCTION views.settle(upto bigint, touched smallint[], checkpoints bigint[], blocks bigint[], events int[],
                             digests bytea[])
RETURNS void
LANGUAGE sql AS $$
    UPDATE views.progress p
    SET position = t.position, digest_block = t.block, digest_events = t.events, digest = t.digest
    FROM unnest(touched, checkpoints, blocks, events, digests) AS t (partition, position, block, events, digest)
    WHERE p.partition = t.partition;
    UPDATE views.progress p SET position = upto, generation = h.generation FROM log_head h WHERE p.position < upto;
$$;

DROP FUNCTION views.advance(uuid, bigint, smallint[], bigint[], boolean);
CREATE FUNCTION views.advance(own_run uuid, upto bigint, touched smallint[], checkpoints bigint[], blocks bigint[],
                              events int[], digests bytea[], tell boolean)
RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- A client that freezes before its commit (there is a moment only behind a pooler) must not keep a successor waiting.
    PERFORM set_config('idle_in_transaction_session_timeout', '3s', true);

    UPDATE views.runs r SET position = upto WHERE r.run = own_run;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'CV001', MESSAGE = 'the run has ended: its partitions were claimed again';
    END IF;

    UPDATE views.progress p
    SET position = t.position, digest_block = t.block, digest_events = t.events, digest = t.digest
    FROM unnest(touched, checkpoints, blocks, events, digests) AS t (partition, position, block, events, digest)
    WHERE p.partition = t.partition AND p.run = own_run;

    IF tell THEN
        PERFORM pg_notify('coulomb_views', upto::text);
    END IF;
END $$;
