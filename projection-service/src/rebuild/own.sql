-- Who makes the build, kept as it is until the transaction ends. Not waiting for the disk is safe: rows and checkpoint are
-- one transaction, and a crash takes the last ones back as a whole.
SELECT b.rebuilder
FROM views.builds b, set_config('synchronous_commit', 'off', true)
WHERE b.build_id = $1 AND b.state = 'building'
FOR SHARE OF b
