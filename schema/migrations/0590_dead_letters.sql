-- What could not be taken in, in one table: events that a read model has parked, and records of Kafka that a consumer could not
-- decode. A row is never the only copy: of an event the log has it at its position, and what an undecodable record should have
-- said is read from the log in its place.
--
-- The rows of parked events follow `views.parked_events` by triggers, in the transaction that parks, releases, leaves out or
-- drops. What is copied to Kafka is a row whose `copied_as` is not its state: there is no number to remember, so that a
-- transaction that commits late is not passed over.
CREATE TABLE dead_letters (
    dead_letter_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text        COLLATE "C" NOT NULL CONSTRAINT dead_letters_source CHECK (source IN ('read-model', 'kafka')),
    state           text        COLLATE "C" NOT NULL DEFAULT 'waiting' CONSTRAINT dead_letters_state
                    CHECK (state IN ('waiting', 'released', 'skipped', 'replayed', 'dropped')),
    first_seen      timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at      timestamptz,
    -- The state as which it was last copied to Kafka.
    copied_as       text        COLLATE "C",
    -- Null: it only waits behind the first of its key.
    error           text,
    -- Of the event in the log; of a record, what its headers say, where they say it.
    position        bigint,
    event_type      text        COLLATE "C",

    -- Of a parked event: the build, and the key that stands still.
    build_id        bigint,
    model           text        COLLATE "C",
    build           int,
    partition_key   uuid,

    -- Of a record: where it stands, and its bytes, of which a long one has lost the end.
    topic           text        COLLATE "C",
    kafka_partition int,
    kafka_offset    bigint,
    -- Of all its bytes: topics are deleted and made again, and then their offsets begin anew.
    record_hash     bytea,
    headers         json,
    record_key      bytea,
    record_value    bytea,
    value_bytes     int,
    -- Who settled a record, and why; of a parked event that stands in the log.
    settled_by      text,
    reason          text,

    CONSTRAINT dead_letters_of_builds CHECK (
        source <> 'read-model' OR (build_id IS NOT NULL AND partition_key IS NOT NULL AND position IS NOT NULL)),
    CONSTRAINT dead_letters_of_kafka CHECK (
        source <> 'kafka' OR (topic IS NOT NULL AND kafka_partition IS NOT NULL AND kafka_offset IS NOT NULL
                              AND record_hash IS NOT NULL))
);

CREATE UNIQUE INDEX dead_letters_parked ON dead_letters (build_id, partition_key, position)
WHERE source = 'read-model' AND state = 'waiting';
CREATE UNIQUE INDEX dead_letters_record ON dead_letters (topic, kafka_partition, kafka_offset, record_hash)
WHERE source = 'kafka';
CREATE INDEX dead_letters_waiting ON dead_letters (source, dead_letter_id) WHERE state = 'waiting';
CREATE INDEX dead_letters_to_copy ON dead_letters (dead_letter_id) WHERE copied_as IS DISTINCT FROM state;
CREATE INDEX dead_letters_settled ON dead_letters (settled_at) WHERE settled_at IS NOT NULL;

CREATE FUNCTION views.dead_letters_begin() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dead_letters (source, build_id, model, build, partition_key, position, event_type, error)
    SELECT 'read-model', n.build_id, b.model, b.number, n.partition_key, n.position, nullif(k.event_type, ''), k.error
    FROM added n
    JOIN views.builds b ON b.build_id = n.build_id
    LEFT JOIN views.parked_keys k
        ON k.build_id = n.build_id AND k.partition_key = n.partition_key AND k.position = n.position
    ORDER BY n.position
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER dead_letters_begin AFTER INSERT ON views.parked_events
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION views.dead_letters_begin();

-- What goes without another word was applied: who leaves out or drops has said so in the rows before.
CREATE FUNCTION views.dead_letters_end() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dead_letters d SET state = 'released', settled_at = clock_timestamp()
    FROM removed r
    WHERE d.source = 'read-model' AND d.state = 'waiting'
      AND d.build_id = r.build_id AND d.partition_key = r.partition_key AND d.position = r.position;
    RETURN NULL;
END $$;

CREATE TRIGGER dead_letters_end AFTER DELETE ON views.parked_events
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION views.dead_letters_end();

-- A release ended before another event of the key, or before the same one with another error. That is news for who reads the
-- copies too.
CREATE FUNCTION views.dead_letters_explain() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dead_letters d SET error = NEW.error, event_type = nullif(NEW.event_type, ''), copied_as = NULL
    WHERE d.source = 'read-model' AND d.state = 'waiting'
      AND d.build_id = NEW.build_id AND d.partition_key = NEW.partition_key AND d.position = NEW.position;
    RETURN NULL;
END $$;

CREATE TRIGGER dead_letters_explain AFTER INSERT OR UPDATE ON views.parked_keys
FOR EACH ROW EXECUTE FUNCTION views.dead_letters_explain();

-- As in migration 0420, and the dead letter says that it was skipped.
CREATE OR REPLACE FUNCTION views.leave_out(builds bigint[], keys uuid[], positions bigint[]) RETURNS void
LANGUAGE sql AS $$
    UPDATE dead_letters d SET state = 'skipped', settled_at = clock_timestamp()
    FROM unnest(builds, keys, positions) AS n (build_id, partition_key, position)
    WHERE d.source = 'read-model' AND d.state = 'waiting'
      AND d.build_id = n.build_id AND d.partition_key = n.partition_key AND d.position = n.position;
    DELETE FROM views.parked_events e USING unnest(builds, keys, positions) AS n (build_id, partition_key, position)
    WHERE e.build_id = n.build_id AND e.partition_key = n.partition_key AND e.position = n.position
$$;

-- As in migration 0420, and the dead letters say that their build was dropped.
CREATE OR REPLACE FUNCTION views.forget_parked() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dead_letters d SET state = 'dropped', settled_at = clock_timestamp()
    WHERE d.source = 'read-model' AND d.state = 'waiting' AND d.build_id = NEW.build_id;
    DELETE FROM views.parked_events e WHERE e.build_id = NEW.build_id;
    DELETE FROM views.parked_keys k WHERE k.build_id = NEW.build_id;
    DELETE FROM views.consumed c WHERE c.build_id = NEW.build_id;
    RETURN NULL;
END $$;

-- What is parked today.
INSERT INTO dead_letters (source, build_id, model, build, partition_key, position, event_type, error, first_seen)
SELECT 'read-model', e.build_id, b.model, b.number, e.partition_key, e.position,
       CASE WHEN k.position = e.position THEN nullif(k.event_type, '') END,
       CASE WHEN k.position = e.position THEN k.error END,
       k.parked_at
FROM views.parked_events e
JOIN views.builds b USING (build_id)
JOIN views.parked_keys k USING (build_id, partition_key)
ORDER BY e.position;
