# Ends processes when their owner is gone, however it went.
#
# Arguments: the owner's pid; the directory of pids; a directory to remove at the end (or nothing); then by turns a signal
# and the tenths of a second that the processes have to end by it.
# Standard input is a pipe whose other end only the owner holds: it ends when the owner does.
trap '' HUP INT TERM
owner=$1 pids=$2 remove=$3
shift 3

while read -r _; do :; done

# Whether process $1, which began at $2, lives. The fields of its state come after its name, in parentheses.
lives() {
    wanted=$2
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "${20}" = "$wanted" ]
}

# What the owner has left, and nothing else: the next one leaves word of its own under the same names, while we are at it.
# A pid alone could by now belong to another process: when it began says whose it is.
processes() {
    for file in "$pids"/*; do
        pid='' began='' of=''
        { read -r pid began of <"$file"; } 2>/dev/null
        [ "$of" = "$owner" ] && lives "$pid" "$began" && echo "$pid"
    done
}

while [ $# -gt 1 ] && [ -n "$(processes)" ]; do
    for pid in $(processes); do
        kill "-$1" "$pid" 2>/dev/null
        # One that is frozen hears of it when it is woken.
        kill -CONT "$pid" 2>/dev/null
    done
    tenths=0
    while [ -n "$(processes)" ] && [ "$tenths" -lt "$2" ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
    shift 2
done

# What is below it may have guardians of its own, which still write.
tenths=0
while [ -n "$remove" ] && [ "$tenths" -lt 300 ]; do
    rm -rf -- "$remove" 2>/dev/null && break
    sleep 0.1
    tenths=$((tenths + 1))
done
