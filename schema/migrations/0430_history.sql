-- What rows were: for looking back without folding the log from its beginning.
--
-- Boundaries are positions at regular distances. A row that is overwritten is kept if a boundary lies between the event
-- that made it and the event that overwrites it; so at a boundary B every row of a read model is there, as it was:
--
--     of views.<model>    those with position <= B, which nothing has overwritten since
--     of history.<model>  those with position <= B < until
--
-- What lies between a boundary and a position is folded by whoever asks. Whoever writes rows sees to it that no batch has
-- events from both sides of a boundary. Nothing is kept at a boundary itself, so none is dearer than another batch; of a row
-- that changes no more nothing is kept twice.
CREATE SCHEMA history;

-- From `first` on, which is one itself, boundaries are `every` positions apart. Before the first era nothing was kept.
CREATE TABLE history.eras (
    first bigint PRIMARY KEY CHECK (first >= 0),
    every bigint NOT NULL CHECK (every > 0)
);

INSERT INTO history.eras
SELECT max(greatest(p.position, r.position)), 100000
FROM views.progress p LEFT JOIN views.runs r ON r.run = p.run;

-- The last boundary at or below a position; null: there is none.
CREATE FUNCTION history.boundary(at bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT e.first + (at - e.first) / e.every * e.every
    FROM history.eras e WHERE e.first <= at ORDER BY e.first DESC LIMIT 1
$$;

-- From where the rows are now, boundaries are so far apart. Ends the runs: whoever writes rows asks for the eras at its
-- claim. Answers whether anything has changed.
CREATE FUNCTION history.keep_every(positions bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF positions = (SELECT e.every FROM history.eras e ORDER BY e.first DESC LIMIT 1) THEN
        RETURN false;
    END IF;
    PERFORM views.end_runs();
    INSERT INTO history.eras
    SELECT max(p.position), positions FROM views.progress p
    ON CONFLICT (first) DO UPDATE SET every = excluded.every;
    RETURN true;
END $$;

-- Makes the table of what the rows of a read model were, and the function that keeps what is about to be overwritten. It
-- is named after the table that serves: rows of a shadow are nobody's past.
CREATE FUNCTION history.make_model(name text) RETURNS void
LANGUAGE plpgsql AS $make$
DECLARE
    writer  text := pg_get_functiondef(format('views.%I', 'write_' || name)::regproc);
    keeping text;
BEGIN
    -- `until`: of the event that overwrote it.
    EXECUTE format('CREATE TABLE history.%1$I (LIKE views.%1$I INCLUDING GENERATED, until bigint NOT NULL)', name);
    EXECUTE format('ALTER TABLE history.%I ADD PRIMARY KEY (key, position)', name);
    EXECUTE format($$
        CREATE FUNCTION history.%2$I(keys text[], positions bigint[]) RETURNS void
        LANGUAGE plpgsql
        SET plan_cache_mode = force_generic_plan
        -- Lookups by key, whatever the statistics of an empty table say.
        SET enable_seqscan = off
        SET enable_hashjoin = off
        SET enable_mergejoin = off
        AS $keep$
        DECLARE
            -- All positions are on one side of it.
            boundary constant bigint := history.boundary((SELECT max(p) FROM unnest(positions) p) - 1);
        BEGIN
            INSERT INTO history.%1$I (key, partition, generation, position, removed, row, until)
            SELECT t.key, t.partition, t.generation, t.position, t.removed, t.row, n.position
            FROM unnest(keys, positions) AS n (key, position)
            JOIN views.%1$I t ON t.key = n.key
            WHERE t.position <= boundary AND n.position > boundary
            ON CONFLICT DO NOTHING;
        END $keep$
    $$, name, 'keep_' || name);

    keeping := replace(writer, format('INSERT INTO views.%I ', name),
                       format(E'PERFORM history.%I(keys, positions);\n            INSERT INTO views.%I ', 'keep_' || name, name));
    IF keeping = writer THEN
        RAISE EXCEPTION 'views.write_% does not write as expected', name;
    END IF;
    EXECUTE keeping;
END $make$;

SELECT history.make_model(name)
FROM unnest(ARRAY['charge_points', 'sessions', 'meter_values', 'commands', 'drivers', 'tokens', 'sites', 'tariffs',
                  'plans']) AS name;

-- For an exchange of builds by the event at `at`, called before the exchange: what the rows were that it changes, of
-- which the shadow's have that position already.
CREATE FUNCTION history.keep_replaced(name text, at bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO history.%1$I (key, partition, generation, position, removed, row, until)
                    SELECT t.key, t.partition, t.generation, t.position, t.removed, t.row, $1
                    FROM shadow.%1$I s JOIN views.%1$I t ON t.key = s.key
                    WHERE s.position = $1 AND t.position < $1
                    ON CONFLICT DO NOTHING', name) USING at;
END $$;

-- What rows are found by, as in migration 0200. The last two columns leave out, without a look at the table, what was not
-- there at a boundary.
CREATE INDEX ON history.charge_points (tenant_id, identity, key, until, position);
CREATE INDEX ON history.charge_points (site_id, until, position) WHERE site_id IS NOT NULL;
CREATE INDEX ON history.sessions (tenant_id, key, until, position);
CREATE INDEX ON history.sessions (driver_id, key, until, position) WHERE driver_id IS NOT NULL;
CREATE INDEX ON history.sessions (charge_point_id, key, until, position);
CREATE INDEX ON history.sessions (tenant_id, state, until, position);
CREATE INDEX ON history.commands (tenant_id, requested_at, key, until, position);
CREATE INDEX ON history.commands (charge_point_id, requested_at, key, until, position) WHERE charge_point_id IS NOT NULL;
CREATE INDEX ON history.tokens (driver_id, key, until, position) WHERE driver_id IS NOT NULL;

-- The last position that was recorded at a time or before it; 0: none.
CREATE FUNCTION log_position_at(at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    low    bigint := 0;  -- recorded in time
    high   bigint := (SELECT h.position FROM log_head h);
    middle bigint;
    found  record;
BEGIN
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        -- The next one that is kept stands for those that are not.
        SELECT e.position, e.recorded_at INTO found
        FROM events e WHERE e.position >= middle AND e.position <= high ORDER BY e.position LIMIT 1;
        IF found.position IS NULL OR found.recorded_at > at THEN
            high := middle - 1;
        ELSE
            low := found.position;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- How long a stream was at a position: the sequence of its last event there; 0: it had not begun.
CREATE FUNCTION log_sequence_at(of_type text, of_id uuid, at bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    stream streams;
    low    bigint := 0;
    high   bigint;
    middle bigint;
    found  record;
BEGIN
    SELECT * INTO stream FROM streams s WHERE s.id = of_id AND s.type = of_type;
    IF stream.id IS NULL OR stream.first_position > at THEN
        RETURN 0;
    END IF;
    IF stream.last_position <= at THEN
        RETURN stream.version;
    END IF;
    high := stream.version;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        SELECT e.sequence, e.position INTO found
        FROM events e
        WHERE e.aggregate_id = of_id::text AND e.aggregate_type = of_type AND e.sequence >= middle
          AND e.position >= stream.first_position AND e.position <= stream.last_position
        ORDER BY e.sequence LIMIT 1;
        IF found.position IS NULL OR found.position > at THEN
            high := middle - 1;
        ELSE
            low := found.sequence;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- Above it, the log has every event of these retention classes.
CREATE FUNCTION log_kept_after(classes smallint[]) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(r.last), 0)
    FROM log_ranges r
    CROSS JOIN unnest(classes) AS class
    CROSS JOIN LATERAL (SELECT (ARRAY['events_ledger', 'events_operational', 'events_telemetry'])[class]) AS p (name)
    WHERE r.first <= (SELECT h.position FROM log_head h)
      AND NOT EXISTS (
          SELECT FROM pg_inherits i JOIN pg_class leaf ON leaf.oid = i.inhrelid
          WHERE i.inhparent = p.name::regclass AND leaf.relname = format('%s_%s', p.name, r.first))
$$;
