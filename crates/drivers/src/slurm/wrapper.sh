#!/bin/bash
# Runs one attempt of Huisuan inside a Slurm job: claims it, runs it, records how it ended.
#
#   wrapper.sh FOLDER ATTEMPT|array.LIST|gang.JOB.TRY WALLTIME_MS GRACE_MS BEAT_MS NOTICE AHEAD_MS
#
# Before its end is enforced the task gets signal NOTICE and GRACE_MS: AHEAD_MS before its walltime is over, when Slurm
# asks for its end, and when the agent does, by SIGUSR2 to this shell alone.
#
# FOLDER is the engine's, shared with the agent. An element of an array finds its attempt in FOLDER/arrays/LIST, a rank of a
# gang in FOLDER/attempts/JOB/gang.TRY/list. What to run is in `start` of the attempt's folder, NUL-separated and never read as shell text: directory, stdout, stderr, number of
# variables, variables, words. Where a file `container` is beside it, the words are what follows `podman run`, and the
# container's process is podman's, not this shell's: it is found by its name. Builtins are used where a program would do as
# well: each process costs a short job more than all of this.
set -f
LC_ALL=C
folder=$1 attempt=$2 walltime_ms=$3 grace_ms=$4 beat_ms=$5 notice=$6 ahead_ms=$7
asked= name= gang= podman=()
trap 'asked=1' USR2
claimed_elsewhere=113 folder_unusable=114
own_mask=077 news=$folder/news data=
# The folder is the agent's. Another user reaches what is its own by a group that it shares with the agent, and was called
# by `sudo`, which the task need not know.
if [ ! -O "$folder" ]; then
    own_mask=007 news+=/$EUID
    unset "${!SUDO_@}"
fi
umask $own_mask

# Where the ranks of a gang are, in their order: `HOST:RANKS,...`; Slurm says `2(x3),1` of their numbers.
gang_hosts() {
    local hosts part times at=0
    read -r -a hosts <<<"${HUISUAN_NODES-}"
    ((${#hosts[@]})) || return
    HUISUAN_GANG_HOSTS=
    for part in ${SLURM_STEP_TASKS_PER_NODE//,/ }; do
        times=1
        [[ $part == *'(x'* ]] && times=${part#*'(x'} times=${times%')'}
        while ((times-- > 0)); do HUISUAN_GANG_HOSTS+=,${hosts[at++]}:${part%'('*}; done
    done
    export HUISUAN_GANG_HOSTS=${HUISUAN_GANG_HOSTS#,} HUISUAN_GANG_FIRST=${hosts[0]}
}

if [[ $attempt == array.* ]]; then
    { mapfile -t -s "$SLURM_ARRAY_TASK_ID" -n 1 line <"$folder/arrays/${attempt#array.}"; } 2>/dev/null
    attempt=${line-}
    # What Slurm's array is called means nothing to the task; if it is an element of one of ours, it is told so.
    unset "${!SLURM_ARRAY_@}"
elif [[ $attempt == gang.* ]]; then
    of=${attempt#gang.}
    { mapfile -t -s "$SLURM_PROCID" -n 1 line <"$folder/attempts/${of%%.*}/gang.${of#*.}/list"; } 2>/dev/null
    attempt=${line-} gang=1
    gang_hosts
    # The memory of a task is told as that of a node: Slurm takes one of both.
    unset HUISUAN_NODES SLURM_MEM_PER_CPU
fi
[ -n "$attempt" ] || exit $folder_unusable
dir=$folder/attempts/${attempt%%.*}/${attempt#*.}

# Sets `at` to milliseconds since 1970.
now() {
    if [ -n "${EPOCHREALTIME-}" ]; then
        at=${EPOCHREALTIME/[.,]/}
        at=${at%???}
    else
        at=$(date +%s%3N)
    fi
}

# pause MILLISECONDS: waits for a line from a pipe that only this shell has, which costs less than `sleep`.
pause() {
    local seconds
    printf -v seconds '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
    [ -n "${silence-}" ] || exec {silence}<> <(:)
    read -r -t "$seconds" -u "$silence"
}

# Processor time of the children, as `times` says it. A container is none of them: what counts is what was seen of it.
used() {
    if [ -n "$name" ]; then echo 0m0.000s 0m0.000s; else times; fi
}

# record LINE...: the done record. Its last line says that it is whole. A full disk is waited for.
record() {
    local tries=60
    now
    until { { printf '%s\n' version=1 "at=$at" "$@"; used; echo complete; } >"$dir/exit"; } 2>/dev/null; do
        ((tries-- > 0)) || return
        sleep 5
    done
    : >"$news/$attempt.end"
    # The agent syncs what it has read. Should this node's power fail in this very moment, a short job is not worth the wait:
    # Slurm's accounting has it too.
    ((at - started_at > 10000)) && sync "$dir/exit" 2>/dev/null
}

start_failed() {
    record cause=start-failed "detail=${1//$'\n'/ }"
    exit 127
}

# Sets `most` to a limit of this process, at most $2: above its own hard limits a runtime has no right to set any.
limit() {
    most=$(ulimit -H "$1")
    if [[ $most == unlimited ]] || ((most > $2)); then most=$2; fi
}

# Completes the words for podman by what this node alone knows: its name and options are in `container`.
contain() {
    local devices root item most list options=()
    {
        IFS= read -r -d '' name && IFS= read -r -d '' devices && IFS= read -r -d '' root
        while IFS= read -r -d '' item; do podman+=("$item"); done
    } <"$dir/container"
    type -P -- "${podman[0]}" >/dev/null || start_failed "this node runs no containers: \`${podman[0]}\` is not there"
    limit -n $((1 << 20))
    options+=("--ulimit=nofile=$most:$most")
    limit -u $((1 << 15))
    options+=("--ulimit=nproc=$most:$most")
    while read -r item list; do [ "$item" = Cpus_allowed_list: ] && break; done </proc/self/status
    options+=("--cpuset-cpus=$list")
    ((devices == 0)) || give_devices
    words=("${podman[@]}" run "${options[@]}" "${words[@]}")
}

# Adds the device nodes of the accelerators that Slurm gave this job, and of no others, to `options`.
give_devices() {
    local mark each rest given index item node group nodes=() missing=()
    while read -r mark each rest; do
        [[ -n $mark && $mark != '#'* && -c $root/$mark ]] && break
    done <"$folder/devices"
    [ -n "$mark" ] || start_failed "this node has no device nodes of accelerators that are known in \`$root\`"
    IFS=, read -r -a given <<<"${SLURM_STEP_GPUS-${SLURM_JOB_GPUS-}}"
    # Where all of a gang on this node are named, those of this rank: each has as many.
    [ -z "$gang" ] || ((${#given[@]} <= devices)) || given=("${given[@]:SLURM_LOCALID * devices:devices}")
    ((${#given[@]} == devices)) || start_failed "Slurm gave $devices accelerators and names \`${SLURM_JOB_GPUS-}\`"
    for index in "${given[@]}"; do
        [[ $index =~ ^[0-9]{1,4}$ ]] || start_failed "Slurm names an accelerator \`$index\`, which is no number"
        IFS=, read -r -a item <<<"$each"
        node=${item[0]/[%]+128/$((index + 128))} node=${node/[%]/$index}
        [ -c "$root/$node" ] || start_failed "accelerator $index has no device node \`$root/$node\`"
        nodes+=("$node")
        for node in "${item[@]:1}"; do [ -c "$root/${node/[%]/$index}" ] && nodes+=("${node/[%]/$index}"); done
    done
    for node in $rest; do [ -c "$root/$node" ] && nodes+=("$node"); done
    for node in "${nodes[@]}"; do options+=("--device=$root/$node:/dev/$node"); done
    # Nodes mostly belong to a group of those who may use them, which another user's containers cannot be given.
    ((EUID == 0)) && for group in $(cd "$root" && stat -c %g "${nodes[@]}" | sort -nu); do
        ((group == 0)) || options+=("--group-add=$group")
    done
}

# Whoever creates this file, and nobody else ever, may start the attempt. Who has it tells how it ends: from here on a job
# that is cancelled ends its task, if it began, and leaves a record.
trap 'asked=1' USR2 TERM
set -C
if ! { : >"$dir/claim"; } 2>/dev/null; then
    [ -e "$dir/claim" ] && exit $claimed_elsewhere
    exit $folder_unusable
fi
set +C
now
started_at=$at
printf '%s\n' version=1 "at=$at" "job=${SLURM_JOB_ID-}" "node=${SLURMD_NODENAME-}" "pid=$$" complete >>"$dir/claim"

{
    IFS= read -r -d '' directory && IFS= read -r -d '' stdout && IFS= read -r -d '' stderr && IFS= read -r -d '' count
    environment=() words=()
    while IFS= read -r -d '' item; do
        if ((${#environment[@]} < count)); then environment+=("$item"); else words+=("$item"); fi
    done
} <"$dir/start"
[ -e "$dir/container" ] && contain
program=${words[0]}
# A variable that means something to this shell is left to `env`; others can be exported here, which costs less.
path=$PATH careful=0
for item in "${environment[@]}"; do
    case ${item%%=*} in
        PATH) path=${item#PATH=} ;;
        HUISUAN_DATA_DIR) data=${item#*=} ;;
        *[!A-Z0-9_]* | BASH* | COMP* | DIRSTACK | EPOCH* | EUID | FUNCNAME | GROUPS | HIST* | IFS | LINENO | OPT* | POSIX* | PPID \
            | PS* | RANDOM | SECONDS | SHELLOPTS | SRANDOM | UID | _) careful=1 ;;
    esac
done
# `env` would take a program whose name has a `=` for a variable.
[[ $program == *=* ]] && words=(/bin/sh -c 'exec "$@"' sh "${words[@]}")

cd -- "$directory" 2>/dev/null || start_failed "directory \`$directory\` does not exist at this centre"
if [[ $program == */* ]]; then
    [ -f "$program" ] || start_failed "program \`$program\` does not exist"
    [ -x "$program" ] || start_failed "program \`$program\` may not be run; hint: chmod +x"
else
    PATH=$path type -P -- "$program" >/dev/null || start_failed "program \`$program\` is not in PATH ($path)"
fi

# A session has a terminal, which `script` of util-linux makes: its keys come from a pipe, what it shows is the output. The
# shell text is a constant; the words go by a file.
if [ -p "$dir/keys" ]; then
    type -P script >/dev/null || start_failed "this node has no \`script\` of util-linux, which sessions need"
    printf '%s\0' "${words[@]}" >"$dir/words"
    environment=(TERM=xterm "${environment[@]}" "SHELL=$BASH" "HUISUAN_SESSION=$dir")
    words=(script -qefc 'stty rows 24 cols 80; tty >"$HUISUAN_SESSION/tty"; mapfile -t -d "" words <"$HUISUAN_SESSION/words"
        unset HUISUAN_SESSION; exec "${words[@]}"' /dev/null)
fi

# Opens a file for output and sets `opened` to its descriptor.
open_output() {
    if [ -e "$1" ] && [ ! -f "$1" ] && [ ! -c "$1" ]; then
        start_failed "output \`$1\` is neither a file nor a device"
    fi
    [ "${1#"$dir/"}" = "$1" ] && umask 022
    { exec {opened}>"$1"; } 2>/dev/null || start_failed "output \`$1\` cannot be created; hint: make its folder first"
    umask $own_mask
}
open_output "$stdout"
exec 5>&"$opened" {opened}>&-
if [ "$stderr" = "$stdout" ]; then
    exec 6>&5
else
    open_output "$stderr"
    exec 6>&"$opened" {opened}>&-
fi

# Adds processor time and memory of a process and its descendants to `ticks` and `pages`.
add_tree() {
    local pid=$1 stat children=() child
    { read -r stat <"/proc/$pid/stat"; } 2>/dev/null || return
    { read -r -a children <"/proc/$pid/task/$pid/children"; } 2>/dev/null
    # The second field is the program's name in parentheses and may hold anything.
    set -- ${stat##*) }
    ((ticks += ${12} + ${13} + ${14} + ${15}, pages += ${22}))
    for child in "${children[@]}"; do add_tree "$child"; done
}

# Sets `page` to the bytes of a page, without a process.
page_size() {
    local name kib
    while read -r name kib _; do [ "$name" = KernelPageSize: ] && break; done </proc/self/smaps
    page=$((${kib:-4} * 1024))
}

# Ends the attempt when its walltime is over; until then, tells now and then that it lives, and what it uses.
watch() {
    local left=$((walltime_ms - ahead_ms)) step=$((beat_ms < 1000 ? beat_ms : 1000)) peak=0 spent=0 page= ticks pages
    local task=$child
    exec 5>&- 6>&-
    if [ -n "$name" ]; then
        exec {tie}>&-
        # It has begun when podman has written down which process it is.
        while [ ! -s "$dir/container.pid" ] && [ -d "/proc/$$" ] && ((left > 0)); do pause 50; ((left -= 50)); done
        read -r task <"$dir/container.pid"
        : >"$news/$attempt.start"
    fi
    while ((left > 0)); do
        ((step = step < left ? step : left, left -= step))
        pause "$step"
        # A container ends with this shell, and so do its signs of life.
        [ -z "$name" ] || [ -d "/proc/$$" ] || exit
        [ -n "$page" ] || page_size
        ((ticks = 0, pages = 0))
        add_tree "$task"
        now
        ((spent = ticks > spent ? ticks : spent, peak = pages > peak ? pages : peak))
        # Of a container nobody tells the rest at its end: the looks at it are closer at first.
        ((step = ${#name} && 2 * step < beat_ms ? 2 * step : beat_ms))
        printf '%s\n' "wall_ms=$((at - started_at))" "cpu_ms=$((spent * 10))" "memory_peak=$((peak * page))" complete >"$dir/used"
        printf . >>"$dir/alive"
        : >"$news/$attempt.used"
    done
    : >"$dir/walltime"
    end_child
}

end_child() {
    kill -s "$notice" -- "-$child"
    pause "$grace_ms"
    # Podman passes other signals on, but not this one.
    [ -z "$name" ] || "${podman[@]}" kill --signal=KILL "$name" >/dev/null
    kill -KILL -- "-$child"
}

# Slurm does not find the processes of a container when it ends a job by force. This one does: podman has put it as far away
# from this shell as them, and it waits for the end of a pipe of which this shell alone has the other one.
tie_container() {
    exec {tie}> >(
        exec >/dev/null 2>&1 5>&- 6>&-
        trap '' TERM HUP INT USR1 USR2
        # Twice a child, with a session of its own: nobody's when this shell has gone.
        (setsid bash -c "$keeper" huisuan "$dir" "$name" "${podman[@]}" <&0 &)
    )
}
# Its text: removes the container, after the podman that may be making it, unless told that all is over.
keeper='while IFS= read -r line; do [ "$line" = over ] && exit; client=$line; done
if [ -n "$client" ] && grep -qzxF "HUISUAN_ATTEMPT_DIR=$1" "/proc/$client/environ"; then kill -KILL "$client"; fi
name=$2
shift 2
for _ in {1..60}; do "$@" rm --force --time=0 --ignore "$name" && exit; sleep 1; done'

# Sets `status` and `signal` to how the task in the container ended, and sees that it is gone.
end_container() {
    local line said= state= tries=60
    if [ "$how" != Exit ]; then
        # Its client was killed: by this shell, or podman knows more.
        state=$("${podman[@]}" container inspect '--format={{.State.Status}} {{.State.ExitCode}}' "$name")
        case $state in
            exited\ * | stopped\ *) how=Exit status=${state#* } signal= ;;
            *) ((outside || walltime)) || lost="podman's client was killed, so it was ended" ;;
        esac
    fi
    until "${podman[@]}" rm --force --time=0 --ignore "$name" >/dev/null; do
        ((tries-- > 0)) || { lost="its container $name cannot be ended and may run" && break; }
        pause 1000
    done
    echo over >&"$tie"
    # Unless it was told to end before it ran.
    if [ "$how" = Exit ] && ((status >= 125 && outside == 0 && walltime == 0)) && [ ! -s "$dir/container.pid" ]; then
        while IFS= read -r line; do [[ $line == 'Error: '* ]] && said=${line#Error: }; done <"$stderr"
        start_failed "${said:-podman did not start it and does not say why}"
    fi
    # What a container ends with is one number: of a signal, 128 more.
    [ "$how" = Exit ] && ((status > 128 && status <= 192)) && signal=$((status - 128))
}

# Slurm asks all processes of a job to end, this one included; the agent asks this one.
asked_to_end() {
    interrupted=1
    ((outside++)) && return
    { [ -z "$name" ] || exec {tie}>&-; end_child; } 2>/dev/null &
    killer=$!
}

# Job control gives each background process a group of its own, and tells exit codes above 128 from signals.
[ -z "$name" ] || tie_container
set -m
outside=0 interrupted=1 killer= how= lost=
trap 'jobs -l >>"$dir/how"' CHLD
(
    umask 022
    if [ -p "$dir/keys" ]; then exec 0<>"$dir/keys"; else exec </dev/null; fi
    exec >&5 2>&6 5>&- 6>&-
    # Whoever makes a container is known before it makes one.
    if [ -n "$name" ]; then
        trap '' PIPE
        echo "$BASHPID" 2>/dev/null >&"$tie" || { echo 'Error: the keeper of its container is gone' >&2; exit 125; }
        trap - PIPE
        exec {tie}>&-
    fi
    ((careful)) && exec env "${environment[@]}" "${words[@]}"
    export "${environment[@]}"
    exec "${words[@]}"
) &
child=$!
trap asked_to_end TERM USR2
[ -z "$asked" ] || asked_to_end
[ -n "$name" ] || : >"$news/$attempt.start"
watch 2>/dev/null &
watcher=$!
disown "$watcher"
exec 5>&- 6>&-
# Sets `how` to what bash said last of the child, and `code` to its number where that is all.
tell_how() {
    local pid word number
    while read -r _ pid word number _; do [ "$pid" = "$child" ] && how=$word code=$number; done <"$dir/how"
}
while ((interrupted)); do
    interrupted=0
    wait "$child"
    status=$?
    ((status < 0)) || continue
    # Signals that come together can take the answer away, of a child that runs as well: seen in bash 5.2.
    tell_how
    case $how in
        Done) status=0 ;;
        Exit) status=$code ;;
        Hangup) status=129 ;;
        Terminated) status=143 ;;
        Killed) status=137 ;;
        *) if [ -d "/proc/$child" ]; then interrupted=1; pause 20; else status=137; fi ;;
    esac
done 2>/dev/null
# Slurm asks one process after the other: this one's turn may come when the child is gone already.
((status == 143 && outside == 0)) && pause 200
# Whose keeper is gone still tells how its task ended.
trap '' TERM USR2 PIPE
trap - CHLD
kill -KILL -- "-$child" "-$watcher" ${killer:+"-$killer"} 2>/dev/null
signal=
if ((status > 128)); then
    tell_how
    [ "$how" = Exit ] || signal=$((status - 128))
fi
walltime=0
[ -e "$dir/walltime" ] && walltime=1
if [ -n "$name" ]; then
    ((status > 128)) || how=Exit
    end_container 2>/dev/null
fi
# What the task left is taken by the agent, and removed.
[ $own_mask = 077 ] || [ -z "$data" ] || chmod -R g+rwX -- "$data" 2>/dev/null
if [ -n "$lost" ]; then
    record cause=lost "started_at=$started_at" "detail=$lost"
    exit 1
fi
record cause=exited "started_at=$started_at" "status=$status" "signal=$signal" "outside=$outside" "walltime=$walltime"
exit "$status"
