-- And how many ranges are detached.
SELECT log_position_at($1), (SELECT count(*) FROM log_archives WHERE detached_at IS NOT NULL)
