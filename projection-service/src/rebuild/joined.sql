-- The other commits of a build may be lost in a crash, this one is waited for.
UPDATE views.builds b SET state = 'joined', joined_at = now(), rebuilder = NULL
FROM set_config('synchronous_commit', 'on', true)
WHERE b.build_id = $1
