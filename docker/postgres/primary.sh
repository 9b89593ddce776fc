#!/usr/bin/env bash
# Runs once, when the primary's data directory is made (the image runs what is in /docker-entrypoint-initdb.d): somebody who
# may replicate, and a standby that every commit waits for.
set -euo pipefail

replication_password=$(cat "${REPLICATION_PASSWORD_FILE:?}")
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set password="$replication_password" <<'SQL'
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'password';
-- A standby that is away for longer than this much log is made anew; without a limit the disk would fill.
ALTER SYSTEM SET max_slot_wal_keep_size = '8GB';
-- Written down now, in force when the server starts for good: there is no standby yet that this one could wait for.
ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (replica)';
SQL
echo "host replication replicator all scram-sha-256" >>"$PGDATA/pg_hba.conf"
