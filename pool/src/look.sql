SELECT
    r.in_recovery,
    CASE WHEN NOT r.in_recovery THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline,
    -- Without the right to see it, the state of a standby is null.
    (SELECT count(*) FROM pg_stat_replication s WHERE coalesce(s.state, 'streaming') = 'streaming') AS standbys,
    current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') NOT IN ('off', 'local')
        AS waits
FROM (SELECT pg_is_in_recovery() AS in_recovery) r
