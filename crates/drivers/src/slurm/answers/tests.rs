//! Output of several versions. That of 22.05 was recorded on Debian's packages; that of 20.11, 21.08, 23.11 and 24.05
//! was written from what is known of those versions; none of them was run or recorded.

use super::*;

/// What tells the lines of an answer from what names hold.
const WORD: &str = "5f0c";

fn job(state: JobState, placed: bool, reason: &str, name: &str) -> QueuedJob {
    QueuedJob { state, runs: false, placed, began: None, uid: 1000, reason: reason.to_owned(), name: name.to_owned() }
}

#[test]
fn the_queue_is_read_whole_or_not_at_all() {
    let check = |text: &str, expected: Option<Vec<(Number, QueuedJob)>>| {
        let told: String = text.lines().map(|line| format!("{WORD}|{line}\n")).collect();
        assert_eq!(read_queue(&told, WORD).ok().map(|jobs| jobs.into_iter().collect()), expected, "{text}");
    };
    let held = JobState::Pending { held: true };
    let waits = JobState::Pending { held: false };
    let began = Some(TimeMs(1_763_841_600_000));
    // 22.05, recorded.
    check(
        "8|N/A|CANCELLED||N/A|1000|None|k.sh\n1|N/A|COMPLETED|alpha1|1763841600|1000|None|hs-1\n6|3|PENDING||N/A|1000|JobHeldUser|w.sh\n",
        Some(vec![
            ((1, None), QueuedJob { began, ..job(JobState::Over(Ending::Completed), true, "None", "hs-1") }),
            ((6, Some(3)), job(held, false, "JobHeldUser", "w.sh")),
            ((8, None), job(JobState::Over(Ending::Cancelled), false, "None", "k.sh")),
        ]),
    );
    // 20.11 and 24.05; names may hold anything.
    check(
        "7|N/A|PENDING||N/A|1000|JobHeldAdmin|a|b c\n",
        Some(vec![((7, None), job(waits, false, "JobHeldAdmin", "a|b c"))]),
    );
    let runs = QueuedJob { runs: true, ..job(JobState::Active, true, "None", "") };
    check("9|N/A|RUNNING|n[1-2]||1000|None|\n", Some(vec![((9, None), runs)]));
    check("9|N/A|STAGE_OUT|n1|soon|1000|None|x\n", Some(vec![((9, None), job(JobState::Active, true, "None", "x"))]));
    check(
        "9|N/A|REQUEUE_HOLD|(null)||1000|JobHoldMaxRequeue|x\n",
        Some(vec![((9, None), job(waits, false, "JobHoldMaxRequeue", "x"))]),
    );
    check(
        "9|N/A|OUT_OF_MEMORY|n1||1000|OutOfMemory|x\n",
        Some(vec![((9, None), job(JobState::Over(Ending::OutOfMemory), true, "OutOfMemory", "x"))]),
    );
    check("", Some(vec![]));
    for bad in [
        "nonsense\n",
        "9|N/A|EXPLODED|||1000|None|x\n",
        "x|N/A|RUNNING|||1000|None|x\n",
        "9|[0-3]|RUNNING|||1000|None|x\n",
        "9|N/A|RUNNING|||1000|None\n",
        "9|N/A|RUNNING|||nobody|None|x\n",
        "9|N/A||||1000|None|x\n",
    ] {
        check(bad, None);
        check(&format!("1|N/A|RUNNING|n||1000|None|x\n{bad}"), None);
    }
}

/// Names with line breaks, whose second lines look like lines of Slurm's.
#[test]
fn what_a_name_says_is_no_answer() {
    let forged = "x\n8|N/A|COMPLETED|n1||1000|None|hs-1\n\n5f0|9|N/A|RUNNING|n1||1000|None|hs-2";
    let text = format!("{WORD}|7|N/A|RUNNING|n1||1001|None|{forged}\n{WORD}|8|N/A|PENDING|||1000|None|hs-1\n");
    let jobs = read_queue(&text, WORD).expect("understood");
    assert_eq!(jobs.keys().map(|number| number.0).collect::<Vec<_>>(), [7, 8]);
    assert_eq!((jobs[&(7, None)].name.as_str(), jobs[&(8, None)].state), (forged, JobState::Pending { held: false }));
    assert!(read_queue(forged, WORD).is_err(), "no job has this name");
    let forged = "x\n8|COMPLETED|0:0|Unknown|2|00:00.006||||n1|hs-1\n\n8.batch|COMPLETED|0:0||2||9T|||n1|y";
    let line = |id: &str, name: &str| {
        [id, "FAILED", "1:0", "Unknown", "2", "00:01", "4K", "", "", "n1", name].join(WORD) + "\n"
    };
    let text = [line("7", forged), line("7.0", forged), line("8", "hs-1"), line("8.batch", forged)].concat();
    let jobs = read_accounts(&text, WORD).expect("understood");
    let told: Vec<_> = jobs.iter().map(|(id, job)| (id.0, job.name.as_str(), job.usage.memory_peak.0)).collect();
    assert_eq!(told, [(7, "x", 4096), (8, "hs-1", 4096)]);
    assert!(jobs.iter().all(|(_, job)| job.state == JobState::Over(Ending::Failed)));
    assert!(read_accounts("nonsense\n", WORD).is_err());
}

#[test]
fn accounts_are_read_with_their_steps() {
    // 22.05, recorded: an end, a job that used too much memory, a job whose name is not known yet.
    let text = "1|COMPLETED|0:0|1763841600|2|00:00.006||||alpha1|hs-1\n\
                1.batch|COMPLETED|0:0|Unknown|2|00:00.006|4328K|||alpha1|batch\n\
                2|FAILED|0:9|Unknown|2|00:00.654||||alpha1|hs-a\n\
                2.batch|CANCELLED by 0|0:9|Unknown|2|00:00.654|141184K|||alpha1|batch\n\
                3|PENDING|0:0|Unknown|1|00:00:00||||None assigned|allocation\n";
    let jobs = read_accounts(text, "|").expect("understood");
    let told: Vec<_> = jobs.iter().map(|(id, job)| (*id, job.state, job.exit_code, job.signal)).collect();
    assert_eq!(
        told,
        [
            ((1, None), JobState::Over(Ending::Completed), 0, 0),
            ((2, None), JobState::Over(Ending::Failed), 0, 9),
            ((3, None), JobState::Pending { held: false }, 0, 0),
        ]
    );
    let usage = |at: usize| jobs[at].1.usage;
    assert_eq!((usage(0).cpu, usage(0).memory_peak), (DurationMs(6), Bytes(4328 << 10)));
    assert_eq!(jobs.iter().map(|(_, job)| job.placed).collect::<Vec<_>>(), [true, true, false]);
    let began: Vec<_> = jobs.iter().map(|(_, job)| job.began).collect();
    assert_eq!(began, [Some(TimeMs(1_763_841_600_000)), None, None]);
    assert_eq!((usage(1).wall, usage(1).cpu), (DurationMs(2_000), DurationMs(654)));
    // 23.11: an external step, days of processor time, a number given twice.
    let text = "5|NODE_FAIL|1:0|Unknown|90061|1-02:03:04||||n1|hs-x\n\
                5.extern|COMPLETED|0:0|Unknown|9|00:00:00|1.50M|||n1|extern\n\
                5|CANCELLED by 1000|0:0|Unknown|0|00:00:00|||||hs-y\n";
    let jobs = read_accounts(text, "|").expect("understood");
    assert_eq!(jobs[0].1.usage.cpu, DurationMs(((26 * 60 + 3) * 60 + 4) * 1000));
    assert_eq!(jobs[0].1.usage.memory_peak, Bytes(3 << 19));
    assert_eq!((jobs[1].0, jobs[1].1.name.as_str()), ((5, None), "hs-y"));
    // Ended by a controller that had lost it.
    let lost = read_accounts("6|CANCELLED|0:0|Unknown|0|00:00:00||||None assigned|hs-z\n", "|").expect("understood");
    assert_eq!((lost[0].1.state, lost[0].1.placed), (JobState::Active, false));
    // Arrays: elements with their steps, and what never began of one.
    let text = "7_1|COMPLETED|0:0|Unknown|2|00:00.006||||n1|hs-array.1\n\
                7_1.batch|COMPLETED|0:0|Unknown|2|00:00.006|4328K|||n1|batch\n\
                7_[0,2-3%5]|CANCELLED by 0|0:0|Unknown|0|00:00:00||||None assigned|hs-array.1\n\
                7_[9,...]|PENDING|0:0|Unknown|0|||||x|y\n\
                7_[0-4000000000]|PENDING|0:0|Unknown|0|||||x|y\n";
    let jobs = read_accounts(text, "|").expect("understood");
    assert_eq!(jobs.iter().map(|(number, _)| number.1).collect::<Vec<_>>(), [1, 0, 2, 3].map(Some));
    assert_eq!(jobs[0].1.usage.memory_peak, Bytes(4328 << 10));
    for bad in [
        "5|COMPLETED|0:0\n",
        "5|GONE|0:0|Unknown|1|00:01|0|||n|x\n",
        "5|COMPLETED|0|Unknown|1|00:01|0|||n|x\n",
        "5|COMPLETED|0:0|Unknown|1|x|0|||n|x\n",
        "5_x|COMPLETED|0:0|Unknown|1|00:01|0|||n|x\n",
        "5_[1|COMPLETED|0:0|Unknown|1|00:01|0|||n|x\n",
    ] {
        assert!(read_accounts(bad, "|").is_err(), "{bad}");
    }
}

/// No energy plugin works where this was made: these lines are as the manual of `sacct` describes them, not recorded.
/// What was given is recorded, on 22.05.
#[test]
fn energy_and_accelerators_are_read_where_they_are_told() {
    let check = |energy: [&str; 3], given: &str, expected: (u64, u64)| {
        let text = format!(
            "1|COMPLETED|0:0|9|10|00:01||{}|{given}|n1|x\n1.batch|COMPLETED|0:0|9|10|00:01|1K|{}||n1|batch\n\
             1.extern|COMPLETED|0:0|9|10|00:00|0|{}||n1|extern\n",
            energy[0], energy[1], energy[2]
        );
        let jobs = read_accounts(&text, "|").expect("understood");
        assert_eq!((jobs[0].1.usage.joules, jobs[0].1.devices), expected, "{text}");
    };
    let given = "billing=1,cpu=1,gres/gpu:h100=3,gres/gpu=3,mem=64M,node=1";
    check(["", "", ""], "", (0, 0));
    check(["0", "0", "0"], given, (0, 3));
    check(["", "12345", "12000"], "cpu=1,gres/gpu:a=1,gres/gpu:b=2", (12_345, 3));
    check(["777", "", ""], "cpu=1,gres/gpumem=5,gres/npu=2,mem=1.50G", (777, 0));
    check(["18446744073709551614", "18446744073709551614", "0"], "", (0, 0));
    for bad in ["x", "-1", "1.5K"] {
        assert!(read_accounts(&format!("1|COMPLETED|0:0|9|10|00:01||{bad}||n1|x\n"), "|").is_err(), "{bad}");
    }
    assert!(read_accounts("1|COMPLETED|0:0|9|10|00:01|||gres/gpu=x|n1|x\n", "|").is_err());
}

#[test]
fn nodes_are_read_with_their_devices() {
    let check = |line: &str, cpus: u64, devices: &[(&str, u64)], usable: bool, limit: Option<u64>| {
        let nodes = read_nodes(line).expect("understood");
        let [node] = nodes.as_slice() else { panic!("one node: {nodes:?}") };
        let found: Vec<_> = node.devices.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!((node.cpus, found.as_slice(), node.usable()), (cpus, devices, usable), "{line}");
        assert_eq!(node.walltime_max.map(|limit| limit.0 / 1000), limit, "{line}");
    };
    // 22.05, recorded.
    check("alpha1|4|8000|gpu:h100:4|idle|7-00:00:00|(null)|none\n", 4, &[("gpu:h100", 4)], true, Some(604_800));
    // Others.
    check("n1|128|515000|(null)|mixed|infinite|(null)|none\n", 128, &[], true, None);
    check("n1|64|257000|gpu:a100:8(S:0-1)|allocated|30:00|(null)|none\n", 64, &[("gpu:a100", 8)], true, Some(1_800));
    check("n1|8|9|gpu:4|idle~|1:00:00|(null)|none\n", 8, &[("gpu", 4)], true, Some(3_600));
    check(
        "n1|8|9|gpu:a100:2(IDX:0,2),gpu:v100:1|planned|n/a|(null)|none\n",
        8,
        &[("gpu:a100", 2), ("gpu:v100", 1)],
        true,
        None,
    );
    check(
        "n1|8|9|npu:910b:8,bandwidth:lustre:no_consume:4|idle|1:00|(null)|none\n",
        8,
        &[("bandwidth:lustre", 4), ("npu:910b", 8)],
        true,
        Some(60),
    );
    check("n1|8|9||drained|1:00|(null)|Duplicate jobid\n", 8, &[], false, Some(60));
    for state in ["drained*", "idle*", "draining", "DOWN", "down~", "fail", "maint", "unknown", "inval"] {
        check(&format!("n1|8|9||{state}|1:00|(null)|x | y\n"), 8, &[], false, Some(60));
    }
    let node = &read_nodes("n1|8|9||idle|1:00|fast,ssd|none\n").expect("understood")[0];
    assert_eq!(node.features.iter().map(String::as_str).collect::<Vec<_>>(), ["fast", "ssd"]);
    for bad in [
        "n1\n",
        "n1|x|9||idle|1:00|(null)|none\n",
        "n1|8|9|gpu:a:b:c|idle|1:00|(null)|none\n",
        "n1|8|9||idle|soon|(null)|none\n",
    ] {
        assert!(read_nodes(bad).is_err(), "{bad}");
    }
}

proptest::proptest! {
    /// Whatever a program prints, it is read or refused.
    #[test]
    fn no_output_makes_the_readers_panic(text in "([0-9A-Z_:|.,()+\\-Kn \n]|\\PC){0,80}") {
        let _ = (read_queue(&text, "x"), read_accounts(&text, "|"), read_nodes(&text));
    }
}
