#!/usr/bin/env bash
# Makes the standby from the primary when its data directory is empty, then runs it. For the image of Postgres, as its user.
set -euo pipefail

data=${PGDATA:?}
if [ ! -s "$data/PG_VERSION" ]; then
    PGPASSWORD=$(cat "${REPLICATION_PASSWORD_FILE:?}")
    export PGPASSWORD
    until pg_isready --quiet --host "${PRIMARY_HOST:?}" --port "${PRIMARY_PORT:-5432}"; do sleep 1; done
    # What an earlier try left half done, which has no PG_VERSION.
    mkdir -p "$data"
    find "$data" -mindepth 1 -delete
    # --write-recovery-conf also writes the password down, for as long as it is a standby. The directory is closed to others.
    pg_basebackup --pgdata "$data" --wal-method stream --slot replica --checkpoint fast --write-recovery-conf \
        --dbname "host=$PRIMARY_HOST port=${PRIMARY_PORT:-5432} user=replicator application_name=replica"
    chmod 0700 "$data"
fi
exec postgres -D "$data" "$@"
