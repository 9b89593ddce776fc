-- How far the log has been written to Kafka, for each cluster of brokers and prefix of topics: everything up to `position` is
-- acknowledged there. Written under the lease `relay` only.
CREATE TABLE relay (
    -- The id that the brokers give their cluster.
    cluster               text   COLLATE "C" NOT NULL,
    prefix                text   COLLATE "C" NOT NULL,
    position              bigint NOT NULL CHECK (position >= 0),
    -- Of the event at `position`.
    generation            bigint NOT NULL,
    -- Of each partition 0 to 63, the position of its last event up to `position`; 0: it has none.
    last_events           bigint[] NOT NULL CHECK (cardinality(last_events) = 64),
    last_station_commands bigint[] NOT NULL CHECK (cardinality(last_station_commands) = 64),
    -- Under which epoch of the lease, and when.
    epoch                 bigint NOT NULL,
    written_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cluster, prefix)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
