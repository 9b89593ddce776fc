-- Where archives of this log were begun. Each is written to a folder that nothing else is written to: what stands elsewhere in
-- the same storage may be of another log, or of a copy of this one, and is never taken for one's own.
CREATE TABLE log_archive_folders (
    -- Without credentials.
    url       text        PRIMARY KEY,
    retention smallint    NOT NULL CHECK (retention BETWEEN 1 AND 3),
    first     bigint      NOT NULL REFERENCES log_ranges,
    last      bigint      NOT NULL,
    -- `unfinished`: the next run goes on with it. `recorded`: it is, or was, that of log_archives. `left`: nothing in it
    -- counts.
    state     text        NOT NULL DEFAULT 'unfinished' CHECK (state IN ('unfinished', 'recorded', 'left')),
    -- Of an unfinished one, the parts that are in their places, as the program that writes them describes them.
    done      json,
    begun_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (last >= first)
);

CREATE UNIQUE INDEX log_archive_folders_unfinished ON log_archive_folders (retention, first) WHERE state = 'unfinished';
