# shellcheck shell=bash
# Installs what is missing on a Debian machine. Sourced by ./run and ./test; says one line for each thing it does.

# Runs a command whose output is of interest only when it fails; the end of it is shown then.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "Run as root, or install by hand what is named above: there is no sudo." >&2
        return 1
    fi
}

apt_updated=
apt_install() {
    if ! command -v apt-get >/dev/null; then
        echo "This is no Debian: please install by hand: $*" >&2
        return 1
    fi
    echo "Installing $* ..." >&2
    # A password is asked for here, where it can be seen.
    as_root true
    if [ -z "$apt_updated" ]; then
        quietly as_root apt-get -qq update
        apt_updated=yes
    fi
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@"
}

need_cargo() {
    if ! command -v cargo >/dev/null; then
        echo "Rust is missing: install it with rustup, or put its cargo into PATH." >&2
        return 1
    fi
}

need_c_compiler() {
    command -v cc >/dev/null || apt_install build-essential
}

# Debian's package would make a cluster of its own and start it now and at every boot. Coulomb starts a private one, so
# that is switched off for as long as the installation takes.
need_postgres() {
    local bin
    for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
        if [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ]; then return; fi
    done
    if command -v postgres >/dev/null && command -v initdb >/dev/null; then return; fi
    apt_install postgresql-common
    local switch=/etc/postgresql-common/createcluster.d/coulomb.conf
    as_root mkdir -p "${switch%/*}"
    echo "create_main_cluster = false" | as_root tee "$switch" >/dev/null
    local installed=0
    apt_install postgresql || installed=$?
    as_root rm -f "$switch"
    return "$installed"
}

# Debian ships the module venv without the part that it needs.
need_python_venv() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3 python3-venv
}
