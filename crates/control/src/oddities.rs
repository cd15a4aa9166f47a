//! Looking for what cannot be in the reports of centres. It is recorded with its reason, once for each attempt and
//! kind; the report itself is taken as far as it is possible.

use huisuan_model::{Attempt, AttemptReport, DurationMs, Oddity, OddityKind, ReportKind, TimeMs, Usage};

use crate::{State, meter};

/// Clocks may differ by so much, and a sample may be so much older than its report.
pub(crate) const TOLERANCE: DurationMs = DurationMs(300_000);

/// What is odd about a report of a live attempt; those of others are looked at by `late`.
pub(crate) fn found(state: &State, report: &AttemptReport, now: TimeMs) -> Vec<Oddity> {
    let Some(attempt) = state.attempts.get(&report.attempt) else { return Vec::new() };
    let mut found = Vec::new();
    let mut add = |kind, detail| {
        if !attempt.oddities.contains(&kind) {
            found.push(Oddity { attempt: attempt.id, kind, at: now, detail, count: 1, since: None });
        }
    };
    if report.at > now.after(TOLERANCE) {
        add(
            OddityKind::ClockAhead,
            format!("reported at {}, which is still to come at {now}; that is taken", report.at),
        );
    }
    let begun = match &report.what {
        ReportKind::Started => Some(report.at),
        ReportKind::Ended { started_at, .. } => *started_at,
        ReportKind::Used(_) => None,
    };
    if let Some(begun) = begun.filter(|begun| begun.after(TOLERANCE) < attempt.placed_at) {
        let placed = attempt.placed_at;
        add(OddityKind::ClockBehind, format!("began at {begun}, before it was placed at {placed}; that is taken"));
    }
    if let ReportKind::Used(usage) | ReportKind::Ended { usage, .. } = &report.what {
        odd_usage(attempt, report.at, *usage, now, &mut add);
        let wall = usage.wall.min(now.since(attempt.placed_at));
        let most = meter::draw(state, attempt).and_then(|draw| draw.joules_max(wall));
        if let Some(most) = most.filter(|most| usage.joules > *most) {
            let told = usage.joules;
            add(
                OddityKind::TooMuchEnergy,
                format!("{told} J were measured, twice the pool's cap for that time is {most} J; they are not taken"),
            );
        }
    }
    found
}

fn odd_usage(attempt: &Attempt, at: TimeMs, usage: Usage, now: TimeMs, add: &mut impl FnMut(OddityKind, String)) {
    let known = attempt.usage;
    // A report that came late shows an earlier time: that is harmless. One from later must not show less.
    let begun = attempt.started_at.unwrap_or(attempt.placed_at);
    let later = usage.wall > known.wall || at > begun.after(known.wall).after(TOLERANCE);
    let fell = [
        ("run time", usage.wall.0, known.wall.0),
        ("processor time", usage.cpu.0, known.cpu.0),
        ("memory", usage.memory_peak.0, known.memory_peak.0),
        ("energy", usage.joules, known.joules),
    ];
    if let Some((what, now_at, was)) = fell.into_iter().find(|(_, now_at, was)| later && now_at < was) {
        add(OddityKind::Backwards, format!("{what} ran backwards from {was} to {now_at}; the higher figure is kept"));
    }
    let held = now.since(attempt.placed_at);
    if usage.wall.0 > held.0.saturating_add(TOLERANCE.0) {
        let most = held.0;
        add(OddityKind::TooLong, format!("ran for {}, placed {most} ms ago; {most} ms are taken", usage.wall));
    }
    if attempt.terms.share.work(usage.wall.0.min(held.0)).0 > i64::MAX.unsigned_abs() {
        add(
            OddityKind::Overflow,
            format!("work in {} does not fit into 63 bits of GFLOP; the most is taken", usage.wall),
        );
    }
}
