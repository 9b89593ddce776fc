#!/usr/bin/env bash
# Starts Postgres as the image does; with STANDBY_OF and an empty data directory, makes it a standby of that host first.
set -euo pipefail

data=${PGDATA:?}
if [ -n "${STANDBY_OF:-}" ] && [ ! -s "$data/PG_VERSION" ]; then
    PGPASSWORD=$(cat "${REPLICATION_PASSWORD_FILE:?}")
    export PGPASSWORD PGHOST=$STANDBY_OF PGPORT=${STANDBY_OF_PORT:-5432} PGUSER=replicator
    until pg_isready --quiet; do sleep 1; done
    # What an earlier try left half done has no PG_VERSION.
    mkdir -p "$data"
    find "$data" -mindepth 1 -delete
    chown postgres "$data"
    chmod 0700 "$data"
    # What the standby has not got yet is kept for it.
    gosu postgres pg_receivewal --slot replica --create-slot --if-not-exists
    # --write-recovery-conf also writes the password down, for as long as it is a standby. The directory is closed to others.
    gosu postgres pg_basebackup --pgdata "$data" --wal-method stream --slot replica --checkpoint fast --write-recovery-conf \
        --dbname application_name=replica
    unset PGPASSWORD PGHOST PGPORT PGUSER
fi
exec docker-entrypoint.sh postgres "$@"
