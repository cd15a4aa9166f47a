//! Tests of [`super::read_sacct`] on made-up dumps in the form of Slurm 22.05.

use super::*;

fn read(text: &str) -> Result<SacctDump, String> {
    read_sacct(&Text::new("dump", text), Some(&TimeZone::UTC)).map_err(|error| error.to_string())
}

/// Columns as the documented command asks for them, with local times.
const HEADER: &str = "Cluster|JobID|JobIDRaw|User|Account|Partition|QOS|State|Submit|Eligible|Start|End|ElapsedRaw|\
                      TimelimitRaw|NNodes|NCPUS|ReqMem|ReqTRES|AllocTRES|Priority|ExitCode|NodeList\n";
const DAY: &str = "2026-01-31T";

fn line(id: &str, state: &str, times: [&str; 4], tail: &str) -> String {
    let times = times.map(|time| if time.contains(':') { format!("{DAY}{time}") } else { time.to_owned() });
    format!("c|{id}|{id}|ann|lab|batch|normal|{state}|{}|{tail}\n", times.join("|"))
}

#[test]
fn jobs_are_what_they_held() {
    let dump = [
        HEADER.to_owned(),
        line(
            "1",
            "COMPLETED",
            ["08:00:00", "08:00:00", "08:01:00", "08:03:30"],
            "150|10|2|4|2000M|billing=4,cpu=4,gres/gpu:h100=4,mem=2000M,node=2|billing=4,cpu=4,gres/gpu=4,mem=2000M,node=2|1|0:0|n[1-2]",
        ),
        line("1.batch", "COMPLETED", ["08:01:00", "08:01:00", "08:01:00", "08:03:30"], "150||1|2||||||n1"),
        line("7_2", "FAILED", ["07:00:00", "07:30:00", "07:40:00", "07:40:00"], "0|UNLIMITED|1|16|4Gc|cpu=1|||3:0|n3"),
        line(
            "8",
            "RUNNING",
            ["09:00:00", "Unknown", "09:00:05", "Unknown"],
            "600|Partition_Limit|1|1|||cpu=1,node=1||0:0|n3",
        ),
    ];
    let dump = read(&dump.concat()).expect("well formed");
    let ids: Vec<_> = dump.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["7_2", "1", "8"], "in order of eligibility");
    assert_eq!(dump.counts, SacctCounts { lines: 4, steps: 1, still_running: 1, ..SacctCounts::default() });
    let [array, gpu, running] = &dump.jobs[..] else { panic!("three jobs") };
    assert_eq!((gpu.start_at_ms - gpu.eligible_at_ms, gpu.run_ms, gpu.walltime_ms), (60_000, 150_000, Some(600_000)));
    assert_eq!((gpu.nodes, gpu.cores, gpu.devices, &*gpu.part, gpu.memory_bytes), (2, 4, 4, "h100", Some(2000 << 20)));
    assert_eq!((&*gpu.user, &*gpu.account, &*gpu.partition, &*gpu.node_list), ("ann", "lab", "batch", "n[1-2]"));
    assert_eq!((array.eligible_at_ms - array.submit_at_ms, array.walltime_ms), (1_800_000, None));
    assert_eq!((array.state, array.cores, array.memory_bytes), (State::Failed, 16, Some(64 << 30)));
    assert_eq!((running.run_ms, running.eligible_at_ms - running.submit_at_ms), (600_000, 0));
}

#[test]
fn what_never_ran_is_counted() {
    let dump = [
        HEADER.to_owned(),
        line(
            "1",
            "CANCELLED by 1000",
            ["08:00:00", "08:00:00", "None", "08:05:00"],
            "0|1|1|64|1G|cpu=64|||0:0|None assigned",
        ),
        line(
            "2",
            "CANCELLED by 0",
            ["08:00:00", "08:00:00", "08:05:00", "08:05:00"],
            "0|1|1|64|1G|cpu=64|||0:0|None assigned",
        ),
        line(
            "3_[4-9%2]",
            "PENDING",
            ["08:00:00", "Unknown", "Unknown", "Unknown"],
            "0|1|1|1|1G|cpu=1|||0:0|None assigned",
        ),
        line("4", "FAILED", ["08:00:00", "08:00:00", "08:05:00", "08:05:00"], "0|1|1|0||||||n1"),
        line("5", "CANCELLED by 0", ["08:00:00", "08:00:00", "08:05:00", "08:06:00"], "60|1|1|1||cpu=1|cpu=1||0:0|n1"),
    ];
    let dump = read(&dump.concat()).expect("well formed");
    let expected = SacctCounts { lines: 5, pending: 1, never_started: 2, without_cores: 1, ..SacctCounts::default() };
    assert_eq!(dump.counts, expected);
    assert_eq!(dump.jobs.len(), 1);
}

#[test]
fn few_columns_in_any_order_are_enough() {
    let text = "End|Start|Submit|Elapsed|AllocCPUS|State|Partition|JobID|User|JobName|Timelimit\n\
                2026-01-31T09:00:00|2026-01-31T08:00:00|1769846400|01:00:00|8|COMPLETED|p|9|bo|x|2-00:00:00\n";
    let dump = read(text).expect("well formed");
    let job = &dump.jobs[0];
    assert_eq!((&*job.id, job.cores, job.nodes, job.run_ms), ("9", 8, 1, 3_600_000));
    assert_eq!((job.submit_at_ms, job.start_at_ms), (1_769_846_400_000, 1_769_846_400_000));
    assert_eq!((job.walltime_ms, job.memory_bytes), (Some(172_800_000), None));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    fn check(text: &str, expected: &[&str]) {
        let error = read(text).expect_err("malformed");
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    }
    let few = "JobID|User|Partition|State|Submit|Start|End|ElapsedRaw|NCPUS|AllocTRES\n";
    check("", &["line 1: the file is empty"]);
    check("JobID|User\n", &["no column `Partition`"]);
    check("User|Partition|State|Submit|Start|End|NCPUS\n", &["no column JobIDRaw or JobID", "SLURM_TIME_FORMAT"]);
    check("JobID|User|Partition|State|Submit|Start|End\n", &["no column NCPUS or AllocCPUS or AllocTRES"]);
    check(&format!("{few}1|a|p|GONE|1|2|3|1|1|\n"), &["line 2, field `State`: `GONE`"]);
    check(&format!("{few}1|a|p|FAILED|Unknown|2|3|1|1|\n"), &["line 2, field `Submit`: `Unknown` where a time"]);
    check(&format!("{few}1|a|p|FAILED|1|soon|3|1|1|\n"), &["field `Start`: `soon`"]);
    check(&format!("{few}1|a|p|FAILED|1|2|3|x|1|\n"), &["field `ElapsedRaw`: `x` where whole seconds"]);
    check(&format!("{few}1|a|p|FAILED|1|2|3|1|many|\n"), &["field `NCPUS`: `many` where a whole number"]);
    check(&format!("{few}1|a|p|FAILED|1|2|3|1|1|cpu\n"), &["field `AllocTRES`: `cpu` where resources"]);
    check(&format!("{few}1|a|na|me|p|FAILED|1|2|3|1|1|\n"), &["line 2: 12 values where the header names 10"]);
    check(&format!("{few}|a|p|FAILED|1|2|3|1|1|\n"), &["line 2, field `JobID`: ``"]);
    let local = Text::new("dump", format!("{few}1|a|p|FAILED|2026-01-31T08:00:00|2|3|1|1|\n"));
    let error = read_sacct(&local, None).expect_err("no zone").to_string();
    assert!(error.contains("is a local time") && error.contains("--zone Asia/Shanghai"), "{error}");
}
