//! Golden waits of published replays; they need the public traces, which are not part of the repository. Where
//! HUISUAN_TRACES does not say where they are, these tests say so and check nothing.

use std::path::PathBuf;

use huisuan_schedule::queue::QueuePolicy;

use super::*;
use crate::read::{read_swf, read_text};

fn traces() -> Option<PathBuf> {
    let folder = std::env::var_os("HUISUAN_TRACES").map(PathBuf::from);
    if folder.is_none() {
        println!("HUISUAN_TRACES is not set: nothing was checked");
    }
    folder
}

/// Every wait equals the golden one.
#[track_caller]
fn check(log: &str, policy: QueuePolicy, golden: &str) {
    let Some(traces) = traces() else { return };
    let log = read_swf(&read_text(&traces.join("swf").join(log)).expect("the log")).expect("SWF");
    let golden = read_text(&traces.join("golden").join(golden)).expect("the golden waits").text;
    let procs = processors(&log, None).expect("a size");
    let workload = Filter::Study.apply(&log, procs);
    let (report, outcome) = replay(&workload, Filter::Study, procs, policy, &mut |_| {}).expect("a replay");
    println!("{policy}: {report:?}");
    assert_eq!(workload.jobs.len(), golden.lines().count());
    let mut different = 0;
    for ((job, start), line) in workload.jobs.iter().zip(&outcome.starts).zip(golden.lines()) {
        let fields: Vec<u64> =
            line.split_whitespace().map(|word| word.parse::<f64>().expect("a number") as u64).collect();
        assert_eq!(
            [job.id.0, job.submitted_at.0 as u64 / 1000, job.run.0 / 1000, job.width],
            [fields[0], fields[1], fields[3], fields[4]]
        );
        different += usize::from(start.since(job.submitted_at).0 != fields[2] * 1000);
    }
    assert_eq!(different, 0, "waits that differ, of {}", workload.jobs.len());
}

const KTH: &str = "predictsim-KTH-SP2-unfiltered.swf.gz";

#[test]
fn kth_under_fifo() {
    check(KTH, QueuePolicy::Fifo, "KTH.fcfs.id_submit_wait_run_procs.gz");
}

#[test]
fn kth_under_easy() {
    check(KTH, QueuePolicy::Easy, "KTH.easy_backfill.id_submit_wait_run_procs.gz");
}

#[test]
fn kth_under_easy_sjbf() {
    check(KTH, QueuePolicy::EasySjbf, "KTH.easy_sjbf.id_submit_wait_run_procs.gz");
}

#[test]
fn kth_under_conservative() {
    check(KTH, QueuePolicy::Conservative, "KTH.conservative.id_submit_wait_run_procs.gz");
}

#[test]
fn sdsc_under_easy() {
    check("SDSC-SP2-1998-4.2-cln.swf.gz", QueuePolicy::Easy, "SDSC-SP2.easy_backfill.id_submit_wait_run_procs.gz");
}
