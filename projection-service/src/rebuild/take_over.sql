-- From here on the build is made by $2; whoever made it before commits nothing more. Answers its number, and whether it
-- is ahead of the log.
UPDATE views.builds b SET rebuilder = $2
WHERE b.build_id = $1
RETURNING b.number, EXISTS (
    SELECT FROM views.build_progress p, log_head h WHERE p.build_id = b.build_id AND p.position > h.position
)
