# Ends the processes of a cluster when their owner is gone, however it went.
#
# Arguments: the directory of the cluster; a directory to remove at the end (or nothing).
# Standard input is a pipe whose other end only the owner holds: it ends when the owner does.
trap '' HUP INT TERM
directory=$1 remove=$2

while read -r _; do :; done

# The processes that live. A pid alone could by now belong to another process: when it began says whose it is.
processes() {
    for file in "$directory"/pids/*; do
        pid='' began=''
        { read -r pid began <"$file"; } 2>/dev/null
        [ -n "$began" ] || continue
        [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d ' ' -f 20)" = "$began" ] && echo "$pid"
    done
}

signal() {
    for pid in $(processes); do kill "-$1" "$pid" 2>/dev/null; done
}

# What is removed anyway need not end well.
if [ -z "$remove" ]; then
    signal TERM
    # One that is frozen hears of it when it is woken.
    signal CONT
    tenths=0
    while [ -n "$(processes)" ] && [ "$tenths" -lt 150 ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
fi
signal KILL
while [ -n "$(processes)" ]; do sleep 0.1; done

# Kafka and Postgres have guardians of their own, which still write below it.
tenths=0
while [ -n "$remove" ] && [ "$tenths" -lt 300 ]; do
    rm -rf -- "$remove" 2>/dev/null && break
    sleep 0.1
    tenths=$((tenths + 1))
done
