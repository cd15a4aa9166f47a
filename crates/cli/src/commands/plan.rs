//! `plan`: where, when and for how much, before a job is submitted.

use huisuan_api::{
    jobs::JobRequest,
    plan::{CandidateView, PlanView},
    routes::PlanQuery,
};

use crate::{
    args::PlanArgs,
    commands::{jobs::amount, submit},
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
    text,
};

/// Asks and shows every pool; fails with `infeasible` when none could ever run the job.
pub(crate) fn plan(session: &Session, args: &PlanArgs) -> Result<(), Failure> {
    let spec = submit::spec_of_args(session, args.file.as_deref(), &args.command, &args.spec)?;
    let project = args.project.as_ref().map(ToString::to_string);
    let query = PlanQuery { project, application: args.application.as_ref().map(ToString::to_string) };
    let plan = session.client()?.plan(&JobRequest(spec), &query)?;
    session
        .output
        .list(&plan, &plan.candidates, "no centre has joined; see `huisuan agent --help`", || listing(&plan))?;
    session.output.remark(&format!(
        "{} of {} would start now",
        text::grouped(plan.tasks_now),
        text::count(plan.tasks, "task")
    ));
    for note in &plan.notes {
        session.output.remark(note);
    }
    match plan.candidates.iter().any(|candidate| candidate.feasible) || plan.candidates.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Infeasible, "no centre can ever run this")
            .hint("ask for less, or see `huisuan centre ls` for what there is")),
    }
}

fn listing(plan: &PlanView) -> Listing {
    let columns =
        ["centre", "pool", "feasible", "tasks_now", "start_p50_ms", "start_p90_ms", "cost_millionths", "reason"];
    let expected = ["factor", "expected_run_ms", "expected_cost_millionths"];
    let details = ["energy_kwh", "currency", "code", "mark"];
    // What was not asked for takes no room.
    let asked = plan.candidates.iter().any(|candidate| candidate.expected.is_some());
    let mut listing = match asked {
        true => Listing::with_details(&[&columns[..], &expected].concat(), &details),
        false => Listing::with_details(&columns, &[&expected[..], &details].concat()),
    };
    for candidate in &plan.candidates {
        listing.row(row(candidate));
    }
    listing
}

fn row(candidate: &CandidateView) -> Vec<Cell> {
    let start = |ms: Option<u64>| match ms {
        None => Cell::none(),
        Some(0) => Cell::figure("now", 0),
        Some(ms) => Cell::figure(format!("in {}", text::span(ms)), ms),
    };
    let (reason, expected) = (candidate.reason.as_ref(), candidate.expected.as_ref());
    vec![
        Cell::text(&candidate.centre),
        Cell::text(&candidate.pool),
        Cell::state(if candidate.feasible { "yes" } else { "no" }),
        Cell::figure(text::grouped(candidate.tasks_now), candidate.tasks_now),
        start(candidate.start_p50_ms),
        start(candidate.start_p90_ms),
        candidate.cost.as_ref().map_or_else(Cell::none, |cost| Cell::figure(amount(cost), cost.amount)),
        reason.map_or_else(Cell::none, |reason| Cell::text(&reason.message)),
        expected.map_or_else(Cell::none, |expected| Cell::text(expected.factor)),
        expected.map_or_else(Cell::none, |expected| Cell::figure(text::span(expected.run_ms), expected.run_ms)),
        expected.map_or_else(Cell::none, |expected| Cell::figure(amount(&expected.cost), expected.cost.amount)),
        candidate.energy_kwh.map_or_else(Cell::none, Cell::text),
        candidate.cost.as_ref().map_or_else(Cell::none, |cost| Cell::text(&cost.currency)),
        reason.map_or_else(Cell::none, |reason| Cell::text(&reason.code)),
        Cell::text(&candidate.mark),
    ]
}
