# shellcheck shell=bash
# Installs what is missing on a Debian machine. Sourced by ./run and ./test; says one line for each thing it does.
#
# Each `need_…` looks whether something is there, and otherwise names its packages; `install_missing` fetches them all at
# once, so that whoever can't install anything reads one whole list.

missing=()

# Runs a command whose output is of interest only when it fails; the end of it is shown then.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ "$status" -ne 0 ]; then tail -n 20 "$log" >&2; fi
    rm -f "$log"
    return "$status"
}

# The toolchain that builds the workspace, and the newest language that the workspace asks for.
need_cargo() {
    local found wanted
    # A shell that was open while rustup ran has not got its PATH yet.
    if ! command -v cargo >/dev/null; then PATH="${CARGO_HOME:-${HOME:-}/.cargo}/bin:$PATH"; fi
    if ! command -v cargo >/dev/null; then
        echo "Rust is missing. Install it as https://rustup.rs says, then run this again." >&2
        return 1
    fi
    # Without a toolchain, rustup's cargo says so, and what to type.
    found=$(cargo --version) || return 1
    found=$(cut -d ' ' -f 2 <<<"$found")
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    if [ "$(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)" != "$wanted" ]; then
        echo "Rust $found is too old, $wanted is the oldest that works: rustup update stable (or see https://rustup.rs)." >&2
        return 1
    fi
}

# What rustup leaves out of its minimal profile.
need_cargo_tool() {
    if cargo "$1" --version >/dev/null 2>&1; then return; fi
    if ! command -v rustup >/dev/null; then
        echo "cargo $1 is missing, and there is no rustup to install it: add it to your Rust." >&2
        return 1
    fi
    echo "Installing cargo $1 ..." >&2
    quietly rustup component add "$2"
}

# A compiler alone is not enough: it needs the C library's headers, which Debian packs apart.
need_c_compiler() {
    local program
    program=$(mktemp)
    if ! cc -x c -o "$program" - 2>/dev/null <<<$'#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }'; then
        missing+=(build-essential)
    fi
    rm -f "$program"
}

need_postgres() {
    local bin
    for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
        if [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ]; then return; fi
    done
    if command -v postgres >/dev/null && command -v initdb >/dev/null; then return; fi
    missing+=(postgresql)
}

# Debian ships the module venv without the part that it needs.
need_python_venv() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
}

# librdkafka, the client of Kafka, is built from source against these.
need_openssl() {
    local program
    if ! command -v pkg-config >/dev/null; then missing+=(pkg-config); fi
    program=$(mktemp)
    # What a compiler finds counts, wherever it comes from.
    if ! cc -x c -c -o "$program" - 2>/dev/null <<<'#include <openssl/ssl.h>'; then missing+=(libssl-dev); fi
    if ! cc -x c -c -o "$program" - 2>/dev/null <<<'#include <zlib.h>'; then missing+=(zlib1g-dev); fi
    rm -f "$program"
}

# Kafka for the tests: Maven fetches it, Java runs it. With COULOMB_KAFKA_LIBS it is there already.
need_kafka() {
    local major=0 java=java
    if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then java=$JAVA_HOME/bin/java; fi
    if command -v "$java" >/dev/null; then
        major=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
    fi
    if [ "${major:-0}" -lt 17 ]; then missing+=(default-jre-headless); fi
    if [ -z "${COULOMB_KAFKA_LIBS:-}" ] && ! command -v mvn >/dev/null; then missing+=(maven); fi
    if ! command -v openssl >/dev/null; then missing+=(openssl); fi
}

# A program and its package. Servers are looked for where they are although they are not in everybody's PATH.
need_program() {
    if ! PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; then missing+=("$2"); fi
}

# What stands around the cluster: in the tests, and in `cargo xtask cluster`.
need_cluster_programs() {
    need_program pgbouncer pgbouncer
    need_program nginx nginx-light
    need_program kcat kcat
    need_program promtool prometheus
}

install_missing() {
    if [ "${#missing[@]}" -eq 0 ]; then return; fi
    if ! command -v apt-get >/dev/null; then
        echo "Missing, by their names in Debian: ${missing[*]}. This is no Debian: install them, then run this again." >&2
        return 1
    fi
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo=(sudo)
        if ! command -v sudo >/dev/null; then
            echo "Missing: ${missing[*]}. There is no sudo; as root, type this, then run this again as yourself:" >&2
            echo "    apt-get update && apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "Installing ${missing[*]} ..." >&2
    # A password is asked for here, where it can be seen.
    if ! "${sudo[@]}" true; then
        echo "sudo refused. Let somebody who may type: apt-get update && apt-get install ${missing[*]}" >&2
        return 1
    fi
    apt_install "${missing[@]}"
}

# Debian's packages start their servers at once and at every boot, and that of Postgres makes a cluster of its own. Coulomb starts
# private ones, so all of that is switched off: the cluster and the start for as long as the installation takes, the boot
# for the servers that were installed here and now. Who wants one of them types `systemctl enable`.
apt_install() {
    local switch=/etc/postgresql-common/createcluster.d/coulomb.conf policy=/usr/sbin/policy-rc.d status=0 ours="" units unit
    if [[ " $* " == *" postgresql "* ]]; then
        "${sudo[@]}" mkdir -p "${switch%/*}" || return
        echo "create_main_cluster = false" | "${sudo[@]}" tee "$switch" >/dev/null || return
    fi
    # One that is there, as in most containers, says what its owner wants.
    if [ ! -e "$policy" ]; then
        ours=$policy
        printf '#!/bin/sh\n# Made by Coulomb for one installation: starts nothing.\nexit 101\n' |
            "${sudo[@]}" tee "$policy" >/dev/null && "${sudo[@]}" chmod 755 "$policy" || return
    fi
    units=$(installed_units)
    # A source of somebody else's that does not answer is no reason to stop: the installation will tell.
    quietly "${sudo[@]}" apt-get -qq update || echo "apt-get update failed; going on with what is known ..." >&2
    # On a machine that has just started, the daily upgrade may hold the lock.
    quietly "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        --no-install-recommends install "$@" || status=$?
    "${sudo[@]}" rm -f "$switch" ${ours:+"$ours"}
    if command -v systemctl >/dev/null; then
        while read -r unit; do
            # One that can't be enabled can't be disabled, and is started by nobody.
            [ -z "$unit" ] || "${sudo[@]}" systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
        done < <(comm -13 <(echo "$units") <(installed_units))
    fi
    return "$status"
}

# The servers, sockets and timers that packages have brought, one a line and sorted.
installed_units() {
    local unit
    for unit in /lib/systemd/system/*.service /lib/systemd/system/*.socket /lib/systemd/system/*.timer; do
        [ ! -e "$unit" ] || echo "${unit##*/}"
    done | sort
}
