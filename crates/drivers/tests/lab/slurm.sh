#!/bin/bash
# One real Slurm cluster on this machine, for tests: several slurmd with pretended processors and GPUs, accounting in a
# private MariaDB, a private munge daemon. Everything listens on loopback and lives in one folder.
#
#   slurm.sh DIR PORT NAME NODES CPUS GPUS CACHE [GRES]
#
# GRES is what its accelerators are called, gpu:h100 when absent: those of another name have no device files.
#
# It writes `ready` to standard output once the nodes are idle, then obeys one line of standard input at a time
# (`start PROCESS`, `down`), answering `ok`. When its standard input ends, all that it started ends: a test program that is
# killed leaves nothing behind, and DIR goes too when LAB_REMOVE is set. CACHE keeps a database that is ready to use, because making one takes most of the time.
set -u -o pipefail
dir=$1 port=$2 name=$3 nodes=$4 cpus=$5 gpus=$6 cache=$7 kind=${8-gpu:h100}
PATH=$PATH:/usr/sbin:/sbin
host=$(hostname -s)
user=$(id -un)
export SLURM_CONF=$dir/slurm.conf
# Marks all daemons, and slurmstepd below them, for the sweep at the end.
export HUISUAN_LAB=$dir

# What the daemons said goes along: the folder may be removed.
fail() {
    echo "slurm lab: $*" >&2
    tail -n 20 "$dir"/log/* >&2 2>/dev/null
    exit 1
}

for program in munged mariadbd slurmdbd slurmctld slurmd sbatch sacct; do
    command -v "$program" >/dev/null || fail "$program is missing; hint: cargo xtask setup, or apt-get install" \
        "slurmctld slurmd slurm-client slurmdbd munge slurm-wlm-basic-plugins slurm-wlm-mysql-plugin mariadb-server"
done

# wait_for SECONDS WHAT COMMAND...
wait_for() {
    local left=$(($1 * 20)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((left-- > 0)) || fail "$what did not come up; see $dir/log"
        sleep 0.05
    done
}

start() {
    local process=$1
    case $process in
        munged) set -- munged -F --force --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
            --pid-file="$dir/munge/pid" --log-file="$dir/log/munge" --seed-file="$dir/munge/seed" --num-threads=2 ;;
        mariadbd) set -- mariadbd --no-defaults --user="$user" --datadir="$dir/database" --socket="$dir/database.socket" \
            --tmpdir="$dir/tmp" --port=$((port + 2)) --bind-address=127.0.0.1 --pid-file="$dir/database.pid" --skip-name-resolve \
            --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --innodb-lock-wait-timeout=900 \
            --innodb-flush-log-at-trx-commit=0 ;;
        slurmdbd) set -- slurmdbd -D ;;
        slurmctld) set -- slurmctld -D ;;
        slurmd.*) set -- slurmd -D -N "$name${process#slurmd.}" ;;
        *) fail "no such process: $process" ;;
    esac
    # Not this shell's standard input: it must see the end of it alone.
    "$@" </dev/null >>"$dir/log/$process.out" 2>&1 &
    echo $! >"$dir/pids/$process"
}

configure() {
    mkdir -p "$dir"/{state,spool,log,munge,pids,devices,tmp}
    chmod 711 "$dir" "$dir/munge"
    head -c 1024 /dev/urandom >"$dir/munge/key"
    chmod 400 "$dir/munge/key"
    # Slurm binds GPUs by device files, which must be character devices: copies of the null device as root, else terminals
    # that nobody opens.
    local device=$dir/devices/gpu gpu
    for ((gpu = 0; gpu < gpus; gpu++)); do
        mknod "$device$gpu" c 1 3 2>/dev/null || device=/dev/tty
    done
    # Without GPUs its nodes are a pool of processors.
    local types= gres=
    : >"$dir/gres.conf"
    if ((gpus > 0)); then
        local what="File=$device[0-$((gpus - 1))]"
        [ "${kind%%:*}" = gpu ] || what=Count=$gpus
        echo "Name=${kind%%:*} Type=${kind#*:} $what" >"$dir/gres.conf"
        types=GresTypes=${kind%%:*}$'\n'AccountingStorageTRES=gres/${kind%%:*} gres=Gres=$kind:$gpus
    fi
    printf 'CgroupAutomount=no\nConstrainCores=no\nConstrainRAMSpace=no\n' >"$dir/cgroup.conf"
    # What a node's daemon could not launch waits for as long as a credential is good, two minutes by default.
    cat >"$dir/slurm.conf" <<CONF
ClusterName=$name
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=20
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/slurmd.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,default_queue_depth=5000,partition_job_depth=0,bf_interval=5
MaxJobCount=100000
MinJobAge=300
MessageTimeout=10
KillWait=3
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
$types
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((port + 1))
AccountingStoragePass=$dir/munge/socket
AccountingStorageEnforce=associations,limits,qos
CONF
    local node
    for ((node = 1; node <= nodes; node++)); do
        mkdir -p "$dir/spool/$name$node"
        echo "NodeName=$name$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2 + node)) CPUs=$cpus" \
            "CoresPerSocket=$cpus RealMemory=8000 $gres Features=fast,ssd State=UNKNOWN"
    done >>"$dir/slurm.conf"
    cat >>"$dir/slurm.conf" <<CONF
PartitionName=batch Nodes=$name[1-$nodes] Default=YES MaxTime=7-0 DefaultTime=10 State=UP
PartitionName=one Nodes=${name}1 MaxTime=60 DefaultTime=5 State=UP
CONF
    # For tests that must not see each other.
    for ((node = 1; node <= nodes; node++)); do
        echo "PartitionName=alone$node Nodes=$name$node MaxTime=60 DefaultTime=5 State=UP"
    done >>"$dir/slurm.conf"
    (
        umask 077
        cat >"$dir/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$((port + 1))
SlurmUser=$user
LogFile=$dir/log/slurmdbd
PidFile=$dir/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((port + 2))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
CONF
    )
}

database_answers() { mariadb-admin --no-defaults -S "$dir/database.socket" -u root ping; }
accounting_answers() { sacctmgr -n show cluster; }
controller_answers() { scontrol ping | grep -q UP; }
nodes_are_idle() { [ "$(sinfo -hN -p batch -o %T | grep -cE '^(idle|mixed|allocated)')" = "$nodes" ]; }

# The database with the tables of slurmdbd, the cluster and an account for this user, made once and then copied.
prepare_database() {
    local seed=$cache/database-$name-$user
    if [ -d "$seed" ]; then
        cp -r "$seed" "$dir/database"
        start mariadbd
        wait_for 30 mariadbd database_answers
        start slurmdbd
        return
    fi
    # A server removes the temporary tables that it finds when it starts, those of its neighbours too.
    mariadb-install-db --no-defaults --user="$user" --datadir="$dir/database" --tmpdir="$dir/tmp" --skip-test-db \
        --auth-root-authentication-method=normal --innodb-log-file-size=8M >"$dir/log/install" 2>&1 || fail "see $dir/log/install"
    start mariadbd
    wait_for 60 mariadbd database_answers
    mariadb --no-defaults -S "$dir/database.socket" -u root -e "create database slurm;
        create user 'slurm'@'127.0.0.1' identified by 'slurm'; grant all on slurm.* to 'slurm'@'127.0.0.1';" || fail database
    start slurmdbd
    wait_for 60 slurmdbd accounting_answers
    sacctmgr -i add cluster "$name" >/dev/null
    sacctmgr -i add account lab Cluster="$name" Description=lab Organization=lab >/dev/null
    sacctmgr -i add user "$user" Account=lab Cluster="$name" >/dev/null
    end slurmdbd 60
    # Killed, it would leave a database without its last transactions to all that copy it.
    end mariadbd 60
    local new=$seed.$$
    mkdir -p "$cache" && cp -r "$dir/database" "$new" && { mv -T "$new" "$seed" 2>/dev/null || rm -rf "$new"; }
    start mariadbd
    wait_for 60 mariadbd database_answers
    start slurmdbd
}

# end PROCESS [SECONDS]: asks it to end, and makes it after so long, else five seconds.
end() {
    local pid left=$((${2-5} * 20))
    pid=$(cat "$dir/pids/$1" 2>/dev/null) || return 0
    # Only a child of this shell: a number may have gone to another process by now.
    [ "$(cut -d' ' -f4 "/proc/$pid/stat" 2>/dev/null)" = $$ ] || return 0
    kill "$pid" 2>/dev/null
    kill -CONT "$pid" 2>/dev/null
    while [ -d "/proc/$pid" ] && [ "$(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null)" != Z ] && ((left-- > 0)); do
        sleep 0.05
    done
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
}

# What is left of this folder's jobs: slurmstepd outlives slurmd, by design.
sweep() {
    local signal pid
    for signal in TERM KILL; do
        for pid in $(grep -lzx "HUISUAN_LAB=$dir" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3); do
            [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] || { pkill_tree "$signal" "$pid"; }
        done
        [ "$signal" = TERM ] && sleep 0.2
    done
}

pkill_tree() {
    local child
    for child in $(cat "/proc/$2/task/$2/children" 2>/dev/null); do pkill_tree "$1" "$child"; done
    [ "$2" = $$ ] || kill "-$1" "$2" 2>/dev/null
}

down() {
    trap '' TERM INT
    if controller_answers 2>/dev/null; then
        timeout 5 scancel --full --user="$user" 2>/dev/null
        local left=60
        while [ -n "$(timeout 5 squeue -h -t running,completing 2>/dev/null | head -1)" ] && ((left-- > 0)); do sleep 0.1; done
    fi
    local node
    for ((node = 1; node <= nodes; node++)); do end "slurmd.$node"; done
    for process in slurmctld slurmdbd mariadbd munged; do end "$process"; done
    sweep
    [ -z "${LAB_REMOVE-}" ] || rm -rf "$dir"
}

configure
trap down EXIT
# A daemon that a test left stopped makes the kernel hang up on all of them once the test program is gone.
trap '' HUP
start munged
wait_for 10 munged test -S "$dir/munge/socket"
prepare_database
wait_for 30 slurmdbd accounting_answers
start slurmctld
for ((node = 1; node <= nodes; node++)); do start "slurmd.$node"; done
wait_for 30 slurmctld controller_answers
wait_for 30 "the nodes" nodes_are_idle
echo ready
while read -r verb process; do
    case $verb in
        start) wait "$(cat "$dir/pids/$process")" 2>/dev/null; start "$process" ;;
        down) exit 0 ;;
        *) fail "no such command: $verb" ;;
    esac
    echo ok
done
