-- What has been moved out of the log: ranges of a retention class in object storage.

-- A row is made when the range's manifest is in its place, and stays for good: it says where to read the range, and when
-- which step was taken.
CREATE TABLE log_archives (
    retention       smallint    NOT NULL CHECK (retention BETWEEN 1 AND 3),
    first           bigint      NOT NULL REFERENCES log_ranges,
    last            bigint      NOT NULL,
    -- Of the folder that its manifest is in, without credentials.
    url             text        NOT NULL,
    manifest_sha256 bytea       NOT NULL CHECK (octet_length(manifest_sha256) = 32),
    events          bigint      NOT NULL CHECK (events >= 0),
    -- Of its parts.
    bytes           bigint      NOT NULL CHECK (bytes >= 0),
    archived_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When all of it was last read back, and was what the log has.
    verified_at     timestamptz,
    -- Since when the log doesn't have it.
    detached_at     timestamptz CHECK (detached_at IS NULL OR verified_at IS NOT NULL),
    PRIMARY KEY (retention, first),
    CHECK (last >= first)
);

-- The parent of a class's ranges.
CREATE FUNCTION log_class_table(class smallint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT (ARRAY['events_ledger', 'events_operational', 'events_telemetry'])[class]
$$;

-- Takes a range out of the log that is archived and verified, and drops its table. Appends and readers wait as long as this
-- does: a tenth of a second at most (SQLSTATE 55P03 then: try again). SQLSTATE CV030: there is no such archive, or it isn't verified. Answers
-- false where it is detached already.
--
-- Whoever reads events and then looks for detached ranges sees each event or its archive: both change in one commit. The
-- other way round, a range may go in between.
CREATE FUNCTION log_detach_range(class smallint, range_first bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    parent  constant text := log_class_table(class);
    leaf    constant text := format('%s_%s', parent, range_first);
    archive log_archives;
BEGIN
    SELECT * INTO archive FROM log_archives a WHERE a.retention = class AND a.first = range_first FOR UPDATE;
    IF archive.verified_at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'CV030',
            MESSAGE = format('positions %s and on of class %s are not archived, or not verified', range_first, class);
    END IF;
    IF archive.detached_at IS NOT NULL THEN
        RETURN false;
    END IF;
    IF to_regclass(leaf) IS NOT NULL THEN
        -- An automatic vacuum gives way to whoever has waited for a second. This lock is in the way of nothing else.
        PERFORM set_config('lock_timeout', '3s', true);
        EXECUTE format('LOCK TABLE %I IN SHARE UPDATE EXCLUSIVE MODE', leaf);
        PERFORM set_config('lock_timeout', '100ms', true);
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, leaf);
        EXECUTE format('DROP TABLE %I', leaf);
    END IF;
    UPDATE log_archives a SET detached_at = clock_timestamp() WHERE a.retention = class AND a.first = range_first;
    RETURN true;
END $$;

-- Who has not consumed everything up to a position, and how far they are.
CREATE FUNCTION log_consumers_behind(upto bigint) RETURNS TABLE (consumer text, reached bigint)
LANGUAGE sql STABLE AS $$
    SELECT * FROM (
        SELECT 'the read models', min(greatest(p.position, r.position))
        FROM views.progress p LEFT JOIN views.runs r ON r.run = p.run
        UNION ALL
        SELECT format('build %s of %s, which is being made', b.number, b.model), min(p.position)
        FROM views.builds b JOIN views.build_progress p USING (build_id)
        WHERE b.state = 'building' GROUP BY b.number, b.model
        UNION ALL
        SELECT format('the process manager %s', c.manager), min(c.position)
        FROM process_checkpoints c GROUP BY c.manager
    ) AS c (consumer, reached)
    WHERE c.reached < upto
$$;

-- The keys of builds that wait for events of a class between two positions, the first such event of each.
CREATE FUNCTION log_parked_in(class smallint, range_first bigint, range_last bigint)
RETURNS TABLE (model text, partition_key uuid, waits_for bigint)
LANGUAGE sql STABLE AS $$
    SELECT b.model, p.partition_key, min(p.position)
    FROM views.parked_events p
    JOIN views.builds b USING (build_id)
    JOIN events e ON e.position = p.position AND e.retention = class
                 AND e.position >= range_first AND e.position <= range_last
    WHERE p.position >= range_first AND p.position <= range_last
    GROUP BY b.model, p.partition_key
    ORDER BY min(p.position)
$$;
