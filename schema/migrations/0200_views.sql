-- Read models: a table for each, all alike, and how far they are.
--
-- A row is written by events of one partition key only, in the order of their positions; a row that was deleted stays and
-- says `removed`. All of it can be made anew from the log.
CREATE SCHEMA views;

-- Where each partition of the log has got to: everything of it up to `position` is in the rows. The run that reads it
-- now may be further, see views.reached().
CREATE TABLE views.progress (
    partition  smallint PRIMARY KEY,
    generation bigint   NOT NULL,
    position   bigint   NOT NULL,
    run        uuid
) WITH (fillfactor = 25);

INSERT INTO views.progress SELECT n, h.generation, 0, NULL FROM generate_series(0, 63) n, log_head h;

-- A worker's hold on a set of partitions, from its claim until one of them is claimed again. Everything of its partitions
-- up to `position` is in the rows. Each batch updates this row first: a worker whose run has ended commits nothing.
CREATE TABLE views.runs (
    run        uuid   PRIMARY KEY,
    generation bigint NOT NULL,
    position   bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- How far the read models are: they contain every event up to `position`, and of partition n up to `partitions[n + 1]`.
CREATE FUNCTION views.reached(OUT generation bigint, OUT "position" bigint, OUT partitions bigint[])
LANGUAGE sql STABLE AS $$
    SELECT min(p.generation), min(greatest(p.position, r.position)),
           array_agg(greatest(p.position, r.position) ORDER BY p.partition)
    FROM views.progress p
    LEFT JOIN views.runs r ON r.run = p.run
$$;

-- Takes partitions for a new run, and answers where each goes on. The runs that held any of them end: what they had
-- reached is written down for all of theirs. The caller asserts its leases in the same transaction.
--
-- The lock waits for batches under way and lets none begin, so that no claim overlooks what another run has just reached.
--
-- A new generation of the log is taken over here. After a promotion the rows have lost what the log has lost, and no less,
-- since they were committed later: so they are of its history, unless they were ever kept apart from it (SQLSTATE CV002).
CREATE FUNCTION views.claim(new_run uuid, taken smallint[])
RETURNS TABLE (o_partition smallint, o_generation bigint, o_position bigint)
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

    RETURN QUERY SELECT p.partition, p.generation, p.position FROM views.progress p WHERE p.run = new_run;
END $$;

-- A batch's first step: how far its run is now, and the checkpoints of the partitions that it touched. An ended run is
-- refused (SQLSTATE CV001), and with it everything else in the statement.
--
-- Not waiting for the disk is safe here: rows and checkpoint are one transaction, and WAL is replayed in order. A crash
-- may take the last batches back as a whole, and then they are folded again from the log, whose own commits do wait.
CREATE FUNCTION views.advance(own_run uuid, upto bigint, touched smallint[], checkpoints bigint[], tell boolean)
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

    UPDATE views.progress p SET position = t.position
    FROM unnest(touched, checkpoints) AS t (partition, position)
    WHERE p.partition = t.partition AND p.run = own_run;

    IF tell THEN
        PERFORM pg_notify('coulomb_views', upto::text);
    END IF;
END $$;

-- Makes the table of a read model, and the function that writes its rows.
CREATE FUNCTION views.make_model(name text) RETURNS void
LANGUAGE plpgsql AS $make$
BEGIN
    EXECUTE format($$
        CREATE TABLE views.%1$I (
            key        text     COLLATE "C" PRIMARY KEY,
            partition  smallint NOT NULL,
            generation bigint   NOT NULL,
            position   bigint   NOT NULL,
            removed    boolean  NOT NULL,
            row        jsonb    NOT NULL,
            tenant_id  text     COLLATE "C" GENERATED ALWAYS AS (row ->> 'tenant_id') STORED
        )
    $$, name);
    EXECUTE format('CREATE INDEX ON views.%I (position)', name);
    EXECUTE format($$
        CREATE FUNCTION views.%2$I(keys text[], partitions smallint[], generations bigint[], positions bigint[],
                                   removals boolean[], rows_ text[]) RETURNS void
        LANGUAGE plpgsql
        SET plan_cache_mode = force_generic_plan
        AS $write$
        BEGIN
            INSERT INTO views.%1$I AS t (key, partition, generation, position, removed, row)
            SELECT n.key, n.partition, n.generation, n.position, n.removed, n.row::jsonb
            FROM unnest(keys, partitions, generations, positions, removals, rows_)
                 AS n (key, partition, generation, position, removed, row)
            ON CONFLICT (key) DO UPDATE
            SET generation = excluded.generation, position = excluded.position, removed = excluded.removed,
                row = excluded.row
            WHERE (t.generation, t.position) <= (excluded.generation, excluded.position);
        END $write$
    $$, name, 'write_' || name);
END $make$;

SELECT views.make_model(name)
FROM unnest(ARRAY['charge_points', 'sessions', 'meter_values', 'commands', 'drivers', 'tokens', 'sites', 'tariffs',
                  'plans']) AS name;

-- What rows are found by. Every update enters every index of its table, since `position` is indexed: so there are few,
-- and partial ones for what is open.
ALTER TABLE views.charge_points
    ADD COLUMN identity text COLLATE "C" GENERATED ALWAYS AS (row -> 'charge_point' ->> 'identity') STORED,
    ADD COLUMN site_id  text COLLATE "C" GENERATED ALWAYS AS (row -> 'charge_point' ->> 'site_id') STORED;
CREATE INDEX ON views.charge_points (tenant_id, identity, key);
CREATE INDEX ON views.charge_points (site_id) WHERE site_id IS NOT NULL;

ALTER TABLE views.sessions
    ADD COLUMN driver_id       text COLLATE "C" GENERATED ALWAYS AS (row -> 'session' ->> 'driver_id') STORED,
    ADD COLUMN charge_point_id text COLLATE "C" GENERATED ALWAYS AS (row -> 'session' ->> 'charge_point_id') STORED,
    ADD COLUMN state           text COLLATE "C" GENERATED ALWAYS AS (row -> 'session' ->> 'state') STORED,
    ADD COLUMN transaction_id  text COLLATE "C" GENERATED ALWAYS AS (row -> 'session' ->> 'transaction_id') STORED;
CREATE INDEX ON views.sessions (tenant_id, key);
CREATE INDEX ON views.sessions (driver_id, key) WHERE driver_id IS NOT NULL;
CREATE INDEX ON views.sessions (charge_point_id, key);
CREATE INDEX sessions_open ON views.sessions (tenant_id, driver_id) WHERE state IN ('requested', 'active', 'stopping');

-- Found by their key, which begins with the session's id.
ALTER TABLE views.meter_values
    ADD COLUMN session_id text COLLATE "C" GENERATED ALWAYS AS (row ->> 'session_id') STORED;

-- `requested_at` without its Z: fractions of a second have three, six or nine digits, or none, and without what follows them
-- their texts are in the order of time.
ALTER TABLE views.commands
    ADD COLUMN requested_by_kind text COLLATE "C" GENERATED ALWAYS AS (row -> 'requested_by' ->> 'kind') STORED,
    ADD COLUMN requested_by_id   text COLLATE "C" GENERATED ALWAYS AS (row -> 'requested_by' ->> 'id') STORED,
    ADD COLUMN charge_point_id   text COLLATE "C" GENERATED ALWAYS AS (row ->> 'charge_point_id') STORED,
    ADD COLUMN session_id        text COLLATE "C" GENERATED ALWAYS AS (row ->> 'session_id') STORED,
    ADD COLUMN state             text COLLATE "C" GENERATED ALWAYS AS (row ->> 'state') STORED,
    ADD COLUMN requested_at      text COLLATE "C" GENERATED ALWAYS AS (rtrim(row ->> 'requested_at', 'Z')) STORED;
CREATE INDEX ON views.commands (tenant_id, requested_at, key);
CREATE INDEX ON views.commands (requested_by_id, key);
CREATE INDEX ON views.commands (charge_point_id, requested_at, key) WHERE charge_point_id IS NOT NULL;
CREATE INDEX commands_unsettled ON views.commands (tenant_id, requested_by_id)
    WHERE state IN ('requested', 'sent', 'accepted');

ALTER TABLE views.tokens
    ADD COLUMN driver_id text COLLATE "C" GENERATED ALWAYS AS (row -> 'token' -> 'details' ->> 'driver_id') STORED;
CREATE INDEX ON views.tokens (driver_id) WHERE driver_id IS NOT NULL;
