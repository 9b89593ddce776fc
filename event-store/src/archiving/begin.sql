-- The folder that an interrupted run has begun for a range below $3, unless all is to be new ($4). What was begun elsewhere is
-- left.
WITH ours AS (
    SELECT url, done FROM log_archive_folders
    WHERE retention = $1 AND first = $2 AND state = 'unfinished' AND starts_with(url, $3) AND NOT $4
), gone AS (
    UPDATE log_archive_folders SET state = 'left', done = NULL
    WHERE retention = $1 AND first = $2 AND state = 'unfinished' AND url NOT IN (SELECT url FROM ours)
)
SELECT url, done::text FROM ours
