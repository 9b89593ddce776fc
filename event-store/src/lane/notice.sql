-- Nothing is stored: there is no commit to wait for, at the disk or at a standby.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('coulomb_log', $1)
