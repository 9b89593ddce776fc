# Ends the nodes of a Kafka when their owner is gone, however it went.
#
# Arguments: the directory of the cluster; a directory to remove at the end (or nothing).
# Standard input is a pipe whose other end only the owner holds: it ends when the owner does.
trap '' HUP INT TERM
directory=$1 remove=$2

while read -r _; do :; done

# The processes of nodes that live. A pid alone could by now belong to another process; its command line says whose it is.
nodes() {
    for file in "$directory"/node-*/pid; do
        pid=
        { read -r pid <"$file"; } 2>/dev/null
        [ -n "$pid" ] || continue
        tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF "${file%/pid}/server.properties" && echo "$pid"
    done
}

signal() {
    for pid in $(nodes); do kill "-$1" "$pid" 2>/dev/null; done
}

# What is removed anyway need not end well.
if [ -z "$remove" ]; then
    signal TERM
    # One that is frozen hears of it when it is woken.
    signal CONT
    tenths=0
    while [ -n "$(nodes)" ] && [ "$tenths" -lt 100 ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
fi
signal KILL
while [ -n "$(nodes)" ]; do sleep 0.1; done
[ -z "$remove" ] || rm -rf -- "$remove"
