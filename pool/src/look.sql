SELECT
    r.in_recovery,
    CASE WHEN NOT r.in_recovery THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline,
    -- In bytes of WAL. Of a standby: how far it is.
    CASE WHEN r.in_recovery THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END AS replayed,
    s.standbys,
    s.waited_for,
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN ''
        ELSE current_setting('synchronous_standby_names') END AS names
FROM (SELECT pg_is_in_recovery() AS in_recovery) r
CROSS JOIN (
    -- Without the right to see it, the state of a standby is null.
    SELECT
        count(*) FILTER (WHERE coalesce(state, 'streaming') = 'streaming') AS standbys,
        -- Those whose word commits can go on by.
        count(*) FILTER (WHERE coalesce(sync_state, 'sync') IN ('sync', 'quorum')) AS waited_for
    FROM pg_stat_replication
) s
