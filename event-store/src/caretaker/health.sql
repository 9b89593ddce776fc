-- A snapshot held open makes every append dearer: how far back the oldest one of this database goes.
SELECT (SELECT position FROM log_head),
       coalesce((SELECT max(age(backend_xmin)) FROM pg_stat_activity WHERE datname = current_database()), 0),
       coalesce((SELECT max(extract(epoch FROM clock_timestamp() - xact_start))::float8 FROM pg_stat_activity
                 WHERE datname = current_database() AND backend_xmin IS NOT NULL), 0)
