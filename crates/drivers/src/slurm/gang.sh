#!/bin/bash
# Runs a gang of Huisuan as one Slurm job: has `srun` start a wrapper for each of its ranks, and waits for them.
#
#   gang.sh FOLDER gang.JOB.TRY WALLTIME_MS GRACE_MS BEAT_MS NOTICE AHEAD_MS
#
# All arguments are the wrapper's. Which attempt a rank is stands in a list that the wrapper reads. How a rank ended is in
# its own record: `srun` is told to leave the others alone, for the network ends a gang of which one has failed. By SIGUSR2
# the agent asks all ranks for their end; Slurm asks them by itself, beside this shell.
set -f
LC_ALL=C
umask 077
# The folder is the agent's, which reads what another user writes by a group that both have.
[ -O "$1" ] || umask 007
asked= of=${2#gang.}
trap 'asked=1' USR2
trap : TERM
dir=$1/attempts/${of%%.*}/gang.${of#*.}
claimed_elsewhere=113 folder_unusable=114

# Of two jobs for one gang, one has all of its ranks: they find each other within their job.
set -C
if ! { echo "$SLURM_JOB_ID" >"$dir/own/claim"; } 2>/dev/null; then
    [ -e "$dir/own/claim" ] && exit $claimed_elsewhere
    exit $folder_unusable
fi
set +C

# The nodes, for the ranks to know where the others are: Slurm writes them shortly, as in `n[1-3,7]`.
HUISUAN_NODES=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
export HUISUAN_NODES=${HUISUAN_NODES//$'\n'/ }

# Asks each wrapper of the gang, by a step beside theirs: `srun` would send the signal to what they run as well.
ask() {
    unset SLURM_MEM_PER_CPU SLURM_GPUS_PER_TASK SLURM_NTASKS SLURM_NPROCS SLURM_TASKS_PER_NODE
    srun --overlap --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --cpus-per-task=1 \
        --mem=0 --gres=none --input=none --quiet bash -c "$asker" huisuan "$dir"
}
# Its text: a wrapper is the one that its attempt's claim names, on the node that it names.
asker='while read -r id; do
    claim=() own=${1%/*}/${id#*.}
    [ -e "$own/exit" ] || mapfile -t claim <"$own/claim"
    pid= node= job=
    for item in "${claim[@]}"; do case $item in pid=*) pid=${item#*=} ;; node=*) node=${item#*=} ;; job=*) job=${item#*=} ;; esac; done
    [[ $node == "$SLURMD_NODENAME" && $job == "$SLURM_JOB_ID" && $pid =~ ^[0-9]+$ ]] || continue
    grep -qzF /wrapper.sh "/proc/$pid/cmdline" && kill -USR2 "$pid"
done <"$1/list" 2>/dev/null'

# Each rank has accelerators of its own; Slurm 22.05 does not bind those that have a type unless it is asked to.
devices=()
[ -z "${SLURM_GPUS_PER_TASK-}" ] || devices=("--gpus-per-task=$SLURM_GPUS_PER_TASK" "--gpu-bind=per_task:${SLURM_GPUS_PER_TASK##*:}")

srun --ntasks="$SLURM_NTASKS" --cpus-per-task="$SLURM_CPUS_PER_TASK" --distribution=block --kill-on-bad-exit=0 --wait=0 \
    --input=none --output=none --error=none --quiet "${devices[@]}" bash "$1/wrapper.sh" "$@" &
child=$!
while :; do
    if [ -n "$asked" ]; then
        asked=
        ask &
    fi
    # Interrupted by a signal, it says nothing of the ranks.
    wait "$child"
    status=$?
    [ -d "/proc/$child" ] || break
done
# A number of one rank means nothing of the others.
((status == 0)) || exit 1
