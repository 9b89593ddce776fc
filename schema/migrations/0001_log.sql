-- The log: every event in one dense order, and beside it what keeps that order honest.
--
-- Text that is compared is COLLATE "C": equality is all that is asked of it, and the index costs a third.

-- The end of the log: one row, updated once for each flush, under which positions are taken and commits are
-- serialised. A page of its own with room for many versions keeps each update on the page (HOT).
CREATE TABLE log_head (
    position    bigint      NOT NULL CHECK (position >= 0),
    generation  bigint      NOT NULL,
    recorded_at timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

CREATE UNIQUE INDEX log_head_is_one_row ON log_head ((true));

INSERT INTO log_head VALUES (0, 1, 'epoch');

-- The columns that cqrs-es knows are as it wants them; those of fixed width stand first, so that nothing is padded.
-- Uniqueness lives in `streams` and `commands`, since a table partitioned by position can't carry it.
CREATE TABLE events (
    position       bigint      NOT NULL,
    sequence       bigint      NOT NULL,
    generation     bigint      NOT NULL,
    recorded_at    timestamptz NOT NULL,
    event_id       uuid        NOT NULL,
    partition_key  uuid        NOT NULL,
    retention      smallint    NOT NULL,
    partition      smallint    NOT NULL,
    aggregate_type text        COLLATE "C" NOT NULL,
    aggregate_id   text        COLLATE "C" NOT NULL,
    event_type     text        COLLATE "C" NOT NULL,
    event_version  text        COLLATE "C" NOT NULL,
    payload        json        NOT NULL,
    metadata       json        NOT NULL
) PARTITION BY LIST (retention);

CREATE TABLE events_ledger      PARTITION OF events FOR VALUES IN (1) PARTITION BY RANGE (position);
CREATE TABLE events_operational PARTITION OF events FOR VALUES IN (2) PARTITION BY RANGE (position);
CREATE TABLE events_telemetry   PARTITION OF events FOR VALUES IN (3) PARTITION BY RANGE (position);

-- The position ranges that exist, `last` included. The same for every retention class; a class may have dropped its own.
CREATE TABLE log_ranges (
    first bigint PRIMARY KEY,
    last  bigint NOT NULL CHECK (last >= first)
);

-- Makes ranges until `ahead` of them lie wholly above the head. CREATE and ATTACH, because PARTITION OF would wait for
-- every open reader. Answers how many were made.
CREATE FUNCTION log_make_ranges(size bigint, ahead int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    head   bigint;
    start  bigint;
    made   int := 0;
    parent text;
    leaf   text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('log_make_ranges'));
    SELECT position INTO head FROM log_head;
    WHILE (SELECT count(*) FROM log_ranges WHERE first > head) < ahead
        OR NOT EXISTS (SELECT FROM log_ranges WHERE head + 1 BETWEEN first AND last)
    LOOP
        SELECT coalesce(max(last), 0) + 1 INTO start FROM log_ranges;
        FOREACH parent IN ARRAY ARRAY['events_ledger', 'events_operational', 'events_telemetry'] LOOP
            leaf := format('%s_%s', parent, start);
            EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', leaf);
            EXECUTE format('CREATE UNIQUE INDEX ON %I (position)', leaf);
            EXECUTE format('CREATE INDEX ON %I (aggregate_id, sequence)', leaf);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                           parent, leaf, start, start + size);
        END LOOP;
        INSERT INTO log_ranges VALUES (start, start + size - 1);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

SELECT log_make_ranges(10000000, 2);

-- The version of each stream, and between which positions its events lie. Only `version`, `last_position` and `fence`
-- change and none of them is indexed, so that an update with room on its page touches no index.
CREATE TABLE streams (
    id             uuid   NOT NULL,
    version        bigint NOT NULL,
    first_position bigint NOT NULL,
    last_position  bigint NOT NULL,
    fence          bigint NOT NULL,
    type           text   COLLATE "C" NOT NULL,
    PRIMARY KEY (id, type)
) WITH (fillfactor = 60);

-- What commands have been answered, events and refusals alike. An expired row may be taken by another command.
CREATE TABLE commands (
    position   bigint NOT NULL,
    expires_at timestamptz,
    scope      text   COLLATE "C" NOT NULL,
    key        text   COLLATE "C" NOT NULL,
    body_hash  bytea  NOT NULL,
    answer     json   NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE INDEX commands_that_expire ON commands (expires_at) WHERE expires_at IS NOT NULL;

-- The state of an aggregate at a version of its stream: a short cut, which may always be thrown away.
CREATE TABLE aggregate_states (
    id           uuid    NOT NULL,
    version      bigint  NOT NULL,
    fold_version integer NOT NULL,
    type         text    COLLATE "C" NOT NULL,
    state        json    NOT NULL,
    PRIMARY KEY (id, type)
) WITH (fillfactor = 80);

-- Who owns which share of a work. The epoch rises with each change of hands; what an owner commits, it commits under it.
CREATE TABLE leases (
    name      text        COLLATE "C" NOT NULL,
    partition smallint    NOT NULL,
    holder    uuid,
    epoch     bigint      NOT NULL DEFAULT 0,
    until     timestamptz NOT NULL DEFAULT 'epoch',
    PRIMARY KEY (name, partition)
) WITH (fillfactor = 50);

-- The live workers among which the partitions of a name are shared out.
CREATE TABLE lease_workers (
    name   text        COLLATE "C" NOT NULL,
    worker uuid        NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (name, worker)
) WITH (fillfactor = 50);
