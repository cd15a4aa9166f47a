//! Golden waits of published replays; they need the public traces, which are not part of the repository. Where
//! HUISUAN_TRACES does not say where they are, these tests say so and check nothing.

use std::path::PathBuf;

use huisuan_model::{DurationMs, JobId, TimeMs};
use huisuan_schedule::queue::QueuePolicy;
use huisuan_twin::machine::LogJob;

use super::*;
use crate::read::{SwfLog, Text, read_swf, read_text};

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

#[test]
fn small_jobs_first_beat_easy_and_starve_nobody() {
    let Some(traces) = traces() else { return };
    // Bars of the project: the part of our own EASY, and the longest wait in days, where there is a bar for it.
    for (log, part, days_max) in [
        (KTH, 0.50, Some(15.0)),
        ("SDSC-SP2-1998-4.2-cln.swf.gz", 0.75, Some(15.0)),
        ("lublin_256.swf.gz", 0.75, None),
        ("pyss-5K_sample.swf.gz", 0.75, Some(15.0)),
    ] {
        let log = read_swf(&read_text(&traces.join("swf").join(log)).expect("the log")).expect("SWF");
        let procs = processors(&log, None).expect("a size");
        let workload = Filter::Study.apply(&log, procs);
        let run = |policy| replay(&workload, Filter::Study, procs, policy, &mut |_| {}).expect("a replay").0;
        let (easy, saf) = (run(QueuePolicy::Easy), run(QueuePolicy::SafGuard));
        println!("{} of {}, {} s", saf.mean_bounded_slowdown, easy.mean_bounded_slowdown, saf.max_wait_s);
        assert!(saf.mean_bounded_slowdown <= part * easy.mean_bounded_slowdown, "{saf:?} {easy:?}");
        assert!(days_max.is_none_or(|days| saf.max_wait_s <= days * 86_400.0), "{saf:?}");
    }
}

/// Hand-made cases of pyss: each line has the moment at which its job must end, the same for every policy that the
/// file's name stands for.
#[test]
fn hand_made_cases_end_as_expected() {
    use QueuePolicy::{Conservative, Easy, EasySjbf, Fifo};
    let Some(traces) = traces() else { return };
    let mut seen = 0;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(traces.join("pyss")).expect("the cases").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    for file in files {
        let kind = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let policies: &[QueuePolicy] = match kind.as_str() {
            "basic_input" => &[Fifo, Easy, EasySjbf, Conservative],
            "bf_input" => &[Easy, Conservative],
            "cons_bf_input" => &[Conservative],
            "easy_bf_input" => &[Easy],
            "fcfs_input" => &[Fifo],
            "sjbf" => &[EasySjbf],
            _ => continue,
        };
        let (jobs, ends) = hand_made(&read_text(&file).expect("a case").text);
        let workload = Workload { jobs, dropped: Dropped::default(), cut: 0, requests: Requests::Log };
        for &policy in policies {
            let (_, outcome) = replay(&workload, Filter::None, 100, policy, &mut |_| {}).expect("a replay");
            let found: Vec<TimeMs> =
                workload.jobs.iter().zip(&outcome.starts).map(|(job, start)| start.after(job.run)).collect();
            assert_eq!(found, ends, "{} under {policy}", file.display());
            seen += 1;
        }
    }
    println!("{seen} cases");
    assert!(seen >= 70, "{seen} cases");
}

/// Jobs and the ends they must have. A line is `submit end[.tag] estimate processors actual ...`; where the estimate
/// is too short for the job, pyss leaves the line out.
fn hand_made(text: &str) -> (Vec<LogJob>, Vec<TimeMs>) {
    let seconds = |word: &str| word.split('.').next().expect("a word").parse::<u64>().expect("a number") * 1000;
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (limit, run) = (DurationMs(seconds(words[2])), DurationMs(seconds(words[4])));
        let width = words[3].parse().expect("a number");
        let submitted_at = TimeMs(seconds(words[0]) as i64);
        let id = JobId(rows.len() as u64);
        if limit >= run {
            let job = LogJob { id, submitted_at, run, limit, width, owner: Some(1) };
            rows.push((job, TimeMs(seconds(words[1]) as i64)));
        }
    }
    rows.sort_by_key(|(job, _)| job.submitted_at);
    rows.into_iter().unzip()
}

/// Lines of a log: number, submission, run time, processors allocated and requested, requested time, user.
fn log(rows: &[[i64; 7]]) -> SwfLog {
    let line = |[number, at, run, allocated, requested, time, user]: &[i64; 7]| {
        format!("{number} {at} -1 {run} {allocated} -1 -1 {requested} {time} -1 1 {user} -1 -1 -1 -1 -1 -1")
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    read_swf(&Text::new("made-up", lines.join("\n"))).expect("SWF")
}

#[test]
fn each_filter_says_what_it_leaves_out() {
    let log = log(&[
        [1, 30, 10, 2, 4, 20, 7],
        [2, 10, 50, 3, -1, 20, -1],
        [3, 10, 10, -1, -1, 20, 7],
        [4, 10, 10, 9, 9, 20, 7],
        [5, 10, 0, 1, 1, 20, 7],
        [6, 10, 5, 1, 1, -1, 7],
    ]);
    let study = Filter::Study.apply(&log, 8);
    let expected = Dropped { no_processors: 1, too_wide: 1, no_run_time: 1, no_requested_time: 1 };
    assert_eq!((study.dropped, study.dropped.total(), study.cut, study.requests), (expected, 4, 1, Requests::Log));
    let rows = |workload: &Workload| -> Vec<(u64, u64, u64, u64, Option<u64>)> {
        let row = |job: &LogJob| (job.id.0, job.width, job.run.0, job.limit.0, job.owner);
        workload.jobs.iter().map(row).collect()
    };
    assert_eq!(rows(&study), [(2, 3, 20_000, 20_000, None), (1, 4, 10_000, 20_000, Some(7))]);
    let none = Filter::None.apply(&log, 8);
    assert_eq!((none.dropped.total(), none.cut), (2, 0));
    let longer = [(2, 3, 50_000, 20_000, None), (5, 1, 0, 20_000, Some(7)), (6, 1, 5_000, 5_000, Some(7))];
    assert_eq!(rows(&none)[..3], longer);
}

#[test]
fn a_log_without_requests_is_run_with_its_run_times() {
    let log = log(&[[1, 0, 10, 2, 2, -1, 7], [2, 0, 30, 2, 2, -1, 7]]);
    let workload = Filter::Study.apply(&log, 2);
    assert_eq!((workload.requests, workload.jobs[1].limit), (Requests::RunTimes, DurationMs(30_000)));
    let (report, _) = replay(&workload, Filter::Study, 2, QueuePolicy::Easy, &mut |_| {}).expect("a replay");
    assert_eq!((report.jobs, report.max_wait_s, report.utilisation), (2, 10.0, 1.0));
    assert_eq!(processors(&log, None), Err(SwfError::NoProcessors));
    let nothing = Filter::Study.apply(&log, 1);
    let refused = replay(&nothing, Filter::Study, 1, QueuePolicy::Easy, &mut |_| {}).expect_err("nothing fits");
    assert!(refused.to_string().contains("2 too wide"), "{refused}");
}
