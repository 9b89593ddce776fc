SELECT 'pid ' || pid || coalesce(', ' || nullif(application_name, ''), '') || coalesce(', ' || state, '')
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND coalesce(backend_type, 'client backend') = 'client backend'
ORDER BY pid LIMIT 20
