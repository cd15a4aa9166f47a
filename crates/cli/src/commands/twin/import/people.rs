//! What `twin import` shows to people.

use std::fmt::Write as _;

use huisuan_study::import::{Comparison, Group, HoursOfDay, Network, SizedBy, Waits};

use super::{Answer, HoursAnswer};
use crate::{
    output::Output,
    table::{Cell, Listing},
    text,
};

/// The answer for jobs.
pub(super) fn jobs(output: &Output, answer: &Answer<'_>, top: usize) -> String {
    let mut said = format!("{} ran from {} to {}", text::count(answer.jobs, "job"), answer.from, answer.until);
    let left_out = left_out(answer);
    if !left_out.is_empty() {
        let _ = write!(said, "; lines left out: {}", left_out.join(", "));
    }
    let _ = write!(said, "; seed {}", answer.seed);
    answer.assumed.iter().for_each(|assumed| {
        let _ = write!(said, "\nassumed: {assumed}");
    });
    match (answer.made, &answer.network) {
        (Some(network), _) => {
            let _ = write!(said, "\n\n{}", output.table(&centres(network)));
        }
        (None, network) => {
            let _ = write!(said, "\non the network of {}", network.as_deref().unwrap_or_default());
        }
    }
    if let Some(run) = &answer.run {
        let heading =
            if run.comparison.all.observed.is_some() { "Waits as they were (observed), and" } else { "Waits" };
        let _ = write!(said, "\n\n{heading} under policy `{}` (modelled):\n\n", run.policy);
        said.push_str(&output.table(&groups(&run.comparison, top)));
        for (count, what) in
            [(run.comparison.refused, "larger than its centre"), (run.comparison.never_started, "that never started")]
        {
            if count > 0 {
                let _ = write!(said, "\n{} {what}", text::count(count, "job"));
            }
        }
        let _ = write!(said, "\n\nWhat the modelled figures do not know:\n- {}", run.caveats.join("\n- "));
    }
    said
}

/// What was left out, and why.
fn left_out(answer: &Answer<'_>) -> Vec<String> {
    let of_dump = answer.dump.as_ref().map(|dump| {
        [
            (dump.steps, "of steps"),
            (dump.pending, "still pending"),
            (dump.never_started, "never started"),
            (dump.without_cores, "without cores"),
        ]
    });
    let of_files = answer.left_out.iter().map(|left_out| (left_out.lines, left_out.why));
    let all = of_dump.into_iter().flatten().chain(of_files).filter(|(lines, _)| *lines > 0);
    all.map(|(lines, why)| format!("{} {why}", text::grouped(lines))).collect()
}

/// The answer for hours.
pub(super) fn hours(output: &Output, answer: &HoursAnswer<'_>) -> String {
    let hours = answer.hours;
    let mut said = format!(
        "{} read, {} rows without one; {} of {} in {}; seed {}",
        text::count(hours.values, "value"),
        text::grouped(hours.empty),
        hours.field,
        answer.centre,
        answer.network,
        answer.seed,
    );
    hours.assumed.iter().for_each(|assumed| {
        let _ = write!(said, "\nassumed: {assumed}");
    });
    if hours.below_zero > 0 {
        let _ = write!(said, "\n{} of the day below zero became zero", text::count(hours.below_zero, "hour"));
    }
    let _ = write!(said, "\n\n{}", output.table(&of_hours(hours)));
    if let Some(report) = &answer.run {
        let figures = crate::output::fields(&[
            ("policy", format!("{}, MODELLED: simulated, not measured", report.policy)),
            ("cost", format!("{:.2} {}", report.cost.amount as f64 / 1e6, report.cost.currency)),
            ("energy", format!("{:.0} kWh, {:.0} kg CO2", report.energy_kwh, report.carbon_kg)),
            ("decisions", report.decision_hash.clone()),
        ]);
        let _ = write!(said, "\n\n{figures}");
    }
    said
}

/// The hours of a day.
pub(super) fn of_hours(hours: &HoursOfDay) -> Listing {
    let mut listing = Listing::new(&["hour", "mean"]);
    for (hour, mean) in hours.means.iter().enumerate() {
        listing.row(vec![Cell::figure(format!("{hour:02}"), hour), Cell::figure(format!("{mean:.4}"), mean)]);
    }
    listing
}

/// What lists show: the waits of a run, else the centres that were made.
pub(super) fn listing(answer: &Answer<'_>) -> Listing {
    let made = || answer.made.map_or_else(|| Listing::new(&["centre"]), centres);
    answer.run.as_ref().map_or_else(made, |run| groups(&run.comparison, usize::MAX))
}

fn centres(network: &Network) -> Listing {
    let mut listing = Listing::new(&["centre", "partitions", "pool", "cores", "memory_bytes", "devices", "sized_by"]);
    for centre in &network.centres {
        let sized_by = match centre.sized_by {
            SizedBy::Nodes => "nodes",
            SizedBy::Peak => "peak",
            SizedBy::Log => "log",
        };
        for pool in &centre.pools {
            listing.row(vec![
                Cell::text(&centre.name),
                Cell::text(centre.partitions.join(" ")),
                Cell::text(&pool.part),
                Cell::figure(text::grouped(pool.cores), pool.cores),
                Cell::figure(text::memory(pool.memory_bytes), pool.memory_bytes),
                Cell::figure(text::grouped(pool.devices), pool.devices),
                Cell::text(sized_by),
            ]);
        }
    }
    listing
}

fn groups(comparison: &Comparison, top: usize) -> Listing {
    let mut listing = Listing::with_details(
        &[
            "of",
            "name",
            "jobs",
            "core_h",
            "mean_observed_ms",
            "mean_modelled_ms",
            "p95_observed_ms",
            "p95_modelled_ms",
            "slowdown_observed",
            "slowdown_modelled",
        ],
        &["device_h", "p50_observed_ms", "p50_modelled_ms", "max_observed_ms", "max_modelled_ms"],
    );
    let rows = std::iter::once(("all", &comparison.all))
        .chain(comparison.partitions.iter().map(|group| ("partition", group)))
        .chain(comparison.users.iter().take(top).map(|group| ("user", group)));
    for (of, group) in rows {
        listing.row(row(of, group));
    }
    listing
}

fn row(of: &str, group: &Group) -> Vec<Cell> {
    let seconds = |waits: Option<&Waits>, value: fn(&Waits) -> f64| {
        waits.map_or_else(Cell::none, |waits| {
            let ms = (value(waits) * 1000.0).round() as u64;
            Cell::figure(text::span(ms), ms)
        })
    };
    let ratio = |waits: Option<&Waits>| {
        waits.map_or_else(Cell::none, |waits| {
            Cell::figure(format!("{:.2}", waits.mean_bounded_slowdown), waits.mean_bounded_slowdown)
        })
    };
    let (was, would_be) = (group.observed.as_ref(), Some(&group.modelled));
    vec![
        Cell::text(of),
        Cell::text(&group.name),
        Cell::figure(text::grouped(group.jobs), group.jobs),
        Cell::figure(text::grouped(group.core_h as u64), group.core_h),
        seconds(was, |waits| waits.mean_s),
        seconds(would_be, |waits| waits.mean_s),
        seconds(was, |waits| waits.p95_s),
        seconds(would_be, |waits| waits.p95_s),
        ratio(was),
        ratio(would_be),
        Cell::figure(text::grouped(group.device_h as u64), group.device_h),
        seconds(was, |waits| waits.p50_s),
        seconds(would_be, |waits| waits.p50_s),
        seconds(was, |waits| waits.max_s),
        seconds(would_be, |waits| waits.max_s),
    ]
}
