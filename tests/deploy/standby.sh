#!/usr/bin/env bash
# What Compose starts Postgres with, on the Postgres that is installed: a primary, a standby that commits wait for, its
# promotion, and the former primary's return as a standby. The images' own two programs are stood in for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ -z "${COULOMB_STANDBY_DIR:-}" ]; then
    directory=$(mktemp -d)
    trap 'rm -rf "$directory"' EXIT
    cp docker/postgres/*.sh tests/deploy/standby.sh "$directory"
    cp docker/pgbouncer/start.sh "$directory/pgbouncer.sh"
    cp docker/pgbouncer/pgbouncer.ini.in "$directory"
    # Postgres does not run as root.
    as=()
    if [ "$(id -u)" -eq 0 ]; then
        chown -R postgres "$directory"
        as=(runuser -u postgres --)
    fi
    cd /
    COULOMB_STANDBY_DIR=$directory "${as[@]}" bash "$directory/standby.sh"
    exit
fi

cd "$COULOMB_STANDBY_DIR"
for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
    if [ -x "$bin/initdb" ]; then PATH="$bin:$PATH"; fi
done
mkdir -p images two.d one.d
# shellcheck disable=SC2016
printf '#!/bin/sh\nshift\nexec "$@"\n' >images/gosu
# shellcheck disable=SC2016
printf '#!/bin/sh\nshift\nexec postgres -D "$PGDATA" "$@"\n' >images/docker-entrypoint.sh
# It is ours already.
printf '#!/bin/sh\n' >images/chown
chmod +x images/*
PATH="$PWD/images:$PATH"
export PATH
printf 'secret-of-replication' >password
export REPLICATION_PASSWORD_FILE=$PWD/password

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
one=$(free_port)
# shellcheck disable=SC2034  # read by its name, as the other.
two=$(free_port)
pooler=$(free_port)
pooler_pid=

stop_all() {
    if [ -n "$pooler_pid" ]; then kill "$pooler_pid" 2>/dev/null || true; fi
    for data in one two; do
        if [ -f "$data/postmaster.pid" ]; then pg_ctl -D "$data" -m immediate stop >/dev/null 2>&1 || true; fi
    done
}
trap stop_all EXIT

on() { psql --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 -h "$PWD/$1.d" -p "${!1}" -U coulomb coulomb -c "$2"; }

wait_for() { # node, query, answer
    for _ in $(seq 200); do
        if [ "$(on "$1" "$2" 2>/dev/null)" = "$3" ]; then return; fi
        sleep 0.1
    done
    echo "$1 does not answer $3 to: $2" >&2
    tail -n 20 "$1.log" >&2
    exit 1
}

start() { # node, and the other if it is a standby of that
    local standby_of=() other=${2:-}
    if [ -n "$other" ]; then standby_of=(STANDBY_OF=127.0.0.1 STANDBY_OF_PORT="${!other}"); fi
    env "${standby_of[@]}" PGDATA="$PWD/$1" bash start.sh -p "${!1}" -k "$PWD/$1.d" -c listen_addresses=127.0.0.1 \
        -c wal_log_hints=on >>"$1.log" 2>&1 &
}

# What the image does before it runs what is in /docker-entrypoint-initdb.d.
initdb -D one -U coulomb --auth-host=scram-sha-256 --auth-local=trust >/dev/null
pg_ctl -D one -w -l one.log -o "-p $one -k $PWD/one.d -c listen_addresses=''" start >/dev/null
createdb -h "$PWD/one.d" -p "$one" -U coulomb coulomb
PGHOST=$PWD/one.d PGPORT=$one PGDATA=$PWD/one POSTGRES_USER=coulomb POSTGRES_DB=coulomb bash primary.sh
pg_ctl -D one -w stop >/dev/null

start one
start two one
wait_for two "SELECT pg_is_in_recovery()" t
wait_for one "SELECT sync_state FROM pg_stat_replication" quorum
on one "CREATE TABLE kept (number int); INSERT INTO kept VALUES (1)"
wait_for two "SELECT count(*) FROM kept" 1

# The pooler, by a password that is in a file.
printf 'secret-of-coulomb' >coulomb-password
on one "ALTER ROLE coulomb PASSWORD 'secret-of-coulomb'"
sed -i -e "s/port=5432/port=$one/" -e "s/^listen_port = .*/listen_port = $pooler/" -e "s#/tmp/#$PWD/#" pgbouncer.ini.in
sed -i -e "s#/tmp/#$PWD/#" -e "s#/etc/pgbouncer/#$PWD/#" pgbouncer.sh
PATH="$PATH:/usr/sbin" POSTGRES_HOST=127.0.0.1 POSTGRES_PASSWORD_FILE=$PWD/coulomb-password sh pgbouncer.sh >pooler.log 2>&1 &
pooler_pid=$!
pooled() { PGPASSWORD=$1 psql --no-psqlrc -qtA -h 127.0.0.1 -p "$pooler" -U coulomb coulomb -c "SELECT count(*) FROM kept" 2>&1; }
for _ in $(seq 100); do
    if [ "$(pooled secret-of-coulomb)" = 1 ]; then break; fi
    sleep 0.1
done
if [ "$(pooled secret-of-coulomb)" != 1 ] || [[ "$(pooled wrong)" != *"authentication failed"* ]]; then
    echo "PgBouncer answers: $(pooled secret-of-coulomb)" >&2
    cat pooler.log >&2
    exit 1
fi

# The primary is gone: what it has acknowledged is on the standby.
pg_ctl -D one -w -m immediate stop >/dev/null
on two "SELECT pg_promote()" >/dev/null
wait_for two "SELECT pg_is_in_recovery()" f
# Nobody can wait for a standby that is not there.
on two "ALTER SYSTEM SET synchronous_standby_names = ''"
on two "SELECT pg_reload_conf()" >/dev/null
on two "INSERT INTO kept VALUES (2)"

# The former primary comes back, made anew, and commits wait again.
rm -rf one
start one two
wait_for one "SELECT pg_is_in_recovery()" t
on two "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (replica)'"
on two "SELECT pg_reload_conf()" >/dev/null
wait_for two "SELECT sync_state FROM pg_stat_replication" quorum
on two "INSERT INTO kept VALUES (3)"
wait_for one "SELECT sum(number) FROM kept" 6
pg_ctl -D one -w -m fast stop >/dev/null
pg_ctl -D two -w -m fast stop >/dev/null
echo "Postgres: primary, standby, pooler, promotion and return are as they should be"
