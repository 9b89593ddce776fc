-- Nobody waits for us longer than that, and the commit waits for the disk.
SELECT set_config('lock_timeout', $1, true), set_config('synchronous_commit', 'on', true)
