# Stops a private Postgres when its owner is gone, however it went.
#
# Arguments: the server's pid, its data directory, and a directory to remove at the end (or nothing).
# Standard input is a pipe whose other end only the owner holds: it ends when the owner does.
trap '' HUP INT TERM
pid=$1 data=$2 remove=$3

while read -r _; do :; done

# The pid alone could by now belong to another process; the lock file says whether it is still this server's.
running=
{ read -r running <"$data/postmaster.pid"; } 2>/dev/null
if [ "$running" = "$pid" ]; then
    kill -INT "$pid" 2>/dev/null
    tenths=0
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
        tenths=$((tenths + 1))
        # A fast shutdown that takes a minute hangs; recovery makes good what an immediate one leaves.
        [ "$tenths" -eq 600 ] && kill -QUIT "$pid" 2>/dev/null
        [ "$tenths" -ge 700 ] && break
    done
fi
[ -z "$remove" ] || rm -rf -- "$remove"
