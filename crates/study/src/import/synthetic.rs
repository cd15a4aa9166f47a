//! Made-up dumps of Slurm's accounting: jobs come at random to one machine that serves them first come, first served.

use std::fmt::Write as _;

use huisuan_twin::random::Stream;

/// A dump and what is in it.
pub(super) struct Synthetic {
    /// The text, with its columns in some order.
    pub(super) text: String,
    /// Jobs that ran.
    pub(super) ran: u64,
    /// Lines of steps.
    pub(super) steps: u64,
    /// Jobs that were cancelled while they waited.
    pub(super) never_started: u64,
}

const COLUMNS: [&str; 16] = [
    "JobIDRaw",
    "JobID",
    "User",
    "Account",
    "Partition",
    "State",
    "Submit",
    "Eligible",
    "Start",
    "End",
    "ElapsedRaw",
    "TimelimitRaw",
    "NCPUS",
    "ReqTRES",
    "AllocTRES",
    "NodeList",
];

/// A dump of `count` jobs on a machine with `cores` cores.
pub(super) fn dump(seed: u64, count: u64, cores: u64) -> Synthetic {
    let mut stream = Stream::new(seed, "sacct");
    let mut order: Vec<usize> = (0..COLUMNS.len()).collect();
    (1..order.len()).rev().for_each(|index| order.swap(index, stream.below(index as u64 + 1) as usize));
    let mut dump = Synthetic { text: String::new(), ran: 0, steps: 0, never_started: 0 };
    line(&mut dump.text, &order, &COLUMNS.map(str::to_owned));
    let mut running: Vec<(u64, u64)> = Vec::new();
    let (mut now_s, mut head_s) = (1_767_225_600, 0);
    for id in 1..=count {
        now_s += stream.exponential(600);
        let takes = 1 + stream.below(cores);
        let (run_s, devices) = (stream.log_normal(900, 300), stream.below(3).saturating_sub(1));
        let id_text = if stream.chance(200_000) { format!("{}_{id}", id / 7) } else { id.to_string() };
        let user = format!("u{}", stream.below(7));
        let tres = match devices {
            0 => format!("billing={takes},cpu={takes},mem={takes}G,node=1"),
            _ => format!("cpu={takes},gres/gpu={devices},gres/gpu:h100={devices},mem={takes}G,node=1"),
        };
        let row = |state: &str, start: String, end_s: u64, run_s: u64, id: &str, allocated: &str| {
            let limit = if id.ends_with('3') { "UNLIMITED".to_owned() } else { (1 + run_s / 30).to_string() };
            let submit = now_s.to_string();
            [id, id, &user, "lab", "batch", state, &submit, &submit, &start, &end_s.to_string(), &run_s.to_string()]
                .map(str::to_owned)
                .into_iter()
                .chain([limit, takes.to_string(), tres.clone(), allocated.to_owned(), "n1".to_owned()])
                .collect::<Vec<_>>()
        };
        if stream.chance(100_000) {
            line(&mut dump.text, &order, &row("CANCELLED by 7", "None".to_owned(), now_s + 5, 0, &id_text, ""));
            dump.never_started += 1;
            continue;
        }
        // First come, first served: not before the one before, and when enough has ended.
        head_s = now_s.max(head_s);
        running.sort_unstable();
        while running.iter().filter(|(end_s, _)| *end_s > head_s).map(|(_, held)| held).sum::<u64>() + takes > cores {
            head_s = running.iter().map(|(end_s, _)| *end_s).find(|end_s| *end_s > head_s).expect("something runs");
        }
        running.retain(|(end_s, _)| *end_s > head_s);
        running.push((head_s + run_s, takes));
        let state = if stream.chance(100_000) { "FAILED" } else { "COMPLETED" };
        line(&mut dump.text, &order, &row(state, head_s.to_string(), head_s + run_s, run_s, &id_text, &tres));
        dump.ran += 1;
        if stream.chance(500_000) {
            let step = row(state, head_s.to_string(), head_s + run_s, run_s, &format!("{id_text}.batch"), &tres);
            line(&mut dump.text, &order, &step);
            dump.steps += 1;
        }
    }
    dump
}

fn line(text: &mut String, order: &[usize], row: &[String]) {
    let cells: Vec<&str> = order.iter().map(|&column| row[column].as_str()).collect();
    let _ = writeln!(text, "{}", cells.join("|"));
}
