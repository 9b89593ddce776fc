#!/bin/sh
# PgBouncer reads neither the environment nor secrets: its two files are written here, then it runs.
set -eu

password=$(cat "${POSTGRES_PASSWORD_FILE:?}")
umask 077
printf '"coulomb" "%s"\n' "$password" >/tmp/users.txt
sed -e "s/@HOST@/${POSTGRES_HOST:?}/" /etc/pgbouncer/pgbouncer.ini.in >/tmp/pgbouncer.ini
exec pgbouncer /tmp/pgbouncer.ini
