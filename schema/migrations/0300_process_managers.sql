-- Process managers: how far each has read of each partition, and what it is to do later. Both are written in one
-- transaction, under the lease of the partition.

-- Everything of the partition up to `position` has been acted on. `epoch` is that of the lease under which it was written.
CREATE TABLE process_checkpoints (
    position   bigint   NOT NULL,
    generation bigint   NOT NULL,
    epoch      bigint   NOT NULL,
    partition  smallint NOT NULL,
    manager    text     COLLATE "C" NOT NULL,
    PRIMARY KEY (manager, partition)
) WITH (fillfactor = 25);

-- One timer of each name; setting it again replaces it. `position`: of the event that it was set for.
CREATE TABLE process_timers (
    due_at    timestamptz NOT NULL,
    position  bigint      NOT NULL,
    partition smallint    NOT NULL,
    manager   text        COLLATE "C" NOT NULL,
    name      text        COLLATE "C" NOT NULL,
    data      json        NOT NULL,
    PRIMARY KEY (manager, partition, name)
);

CREATE INDEX process_timers_by_due ON process_timers (manager, due_at);

-- The online chargers of an edge (offline, they have none), for when its lease lapses.
CREATE INDEX charge_points_by_edge ON views.charge_points ((row -> 'charge_point' ->> 'edge') COLLATE "C", key)
    WHERE row -> 'charge_point' ->> 'edge' IS NOT NULL;
