//! `ls`, `show`, `explain` and `cancel`.

use huisuan_api::{
    channels::ChannelView,
    jobs::{AttemptView, DataView, Explain, JobList, JobSummary, JobView, TaskCounts},
    routes::{JobsQuery, PAGE_SIZE_MAX, PageQuery},
    wire::{Amount, EnergyFields, Timestamp, Usage},
};
use huisuan_model::{RangeSet, TimeMs};

use crate::{
    args::{Format, JobArgs, JobsArgs, LsArgs},
    failure::{Exit, Failure},
    output::{Output, fields},
    session::Session,
    table::{Cell, Listing},
    text,
};

/// Lists jobs.
pub(crate) fn ls(session: &Session, args: &LsArgs) -> Result<(), Failure> {
    let mut all = JobList { jobs: Vec::new(), next_page_token: None };
    let mut query =
        JobsQuery { state: args.state.clone(), tenant: args.tenant.clone(), page_size: None, page_token: None };
    loop {
        let left = args.limit.saturating_sub(all.jobs.len() as u64);
        query.page_size = Some(u32::try_from(left).unwrap_or(u32::MAX).clamp(1, PAGE_SIZE_MAX));
        let page = session.client()?.jobs(&query)?;
        all.jobs.extend(page.jobs);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_none() || all.jobs.len() as u64 >= args.limit {
            break;
        }
        query.page_token = all.next_page_token.clone();
    }
    let now = session.now();
    let empty = if args.state.is_some() || args.tenant.is_some() {
        "no such jobs"
    } else {
        "no jobs yet; try `huisuan run -- echo hello`"
    };
    session.output.list(&all, &all.jobs, empty, || jobs_listing(&all.jobs, now))?;
    if all.next_page_token.is_some() {
        session.output.remark(&format!("there are more; list them with --limit {}", args.limit.saturating_mul(10)));
    }
    Ok(())
}

/// Jobs as a list; `now` dates what still goes on.
pub(crate) fn jobs_listing(jobs: &[JobSummary], now: TimeMs) -> Listing {
    let columns = ["job_id", "name", "state", "tasks", "centres", "time_ms", "cost_millionths", "reason"];
    let details =
        ["tasks_total", "tasks_failed", "tenant", "project", "currency", "submitted_at", "started_at", "ended_at"];
    let mut listing = Listing::with_details(&columns, &details);
    for job in jobs {
        let time = job_time_ms(job, now);
        listing.row(vec![
            Cell::text(job.job_id),
            Cell::text(&job.name),
            Cell::state(&job.state),
            Cell::figure(tasks_short(&job.tasks), job.tasks.total - job.tasks.waiting - job.tasks.active),
            if job.centres.is_empty() { Cell::none() } else { Cell::text(job.centres.join(" ")) },
            Cell::figure(text::span(time), time),
            cost_cell(&job.cost),
            job.reason.as_ref().map_or_else(Cell::none, |reason| Cell::text(&reason.code)),
            Cell::text(job.tasks.total),
            Cell::text(job.tasks.failed),
            Cell::text(&job.tenant),
            Cell::text(&job.project),
            Cell::text(&job.cost.currency),
            Cell::text(job.submitted_at),
            moment(job.started_at),
            moment(job.ended_at),
        ]);
    }
    listing
}

/// How long a job ran, runs, or waits.
fn job_time_ms(job: &JobSummary, now: TimeMs) -> u64 {
    let from = job.started_at.unwrap_or(job.submitted_at).0;
    job.ended_at.map_or(now, |end| end.0).since(from).0
}

fn moment(time: Option<Timestamp>) -> Cell {
    time.map_or_else(Cell::none, Cell::text)
}

fn tasks_short(tasks: &TaskCounts) -> String {
    let ended = tasks.total.saturating_sub(tasks.waiting + tasks.active);
    format!("{}/{}", text::grouped(ended), text::grouped(tasks.total))
}

/// The columns of [`energy_cells`].
pub(crate) const ENERGY_COLUMNS: [&str; 3] = ["energy_kwh", "carbon_kg", "energy_mark"];

/// Energy and CO2 as cells; a dash for what nobody knows.
pub(crate) fn energy_cells(energy: &EnergyFields) -> [Cell; 3] {
    let figure = |value: Option<f64>| value.map_or_else(Cell::none, |value| Cell::figure(value, value));
    let mark = energy.energy_mark.as_ref().map_or_else(Cell::none, Cell::text);
    [figure(energy.energy_kwh), figure(energy.carbon_kg), mark]
}

/// Money as a cell; a dash for nothing.
pub(crate) fn cost_cell(cost: &Amount) -> Cell {
    Cell::figure(amount(cost), cost.amount)
}

/// Money as text.
pub(crate) fn amount(amount: &Amount) -> String {
    text::money(amount.amount, &amount.currency)
}

/// Work by class, one after another: classes are never added.
pub(crate) fn usage_text(usage: &Usage) -> String {
    let parts: Vec<String> =
        usage.0.iter().map(|(class, usage)| format!("{class} {}", text::work(usage.gflop))).collect();
    parts.join(", ")
}

/// Shows one job.
pub(crate) fn show(session: &Session, args: &JobArgs) -> Result<(), Failure> {
    let job = session.client()?.job(session.job_id(&args.job)?)?;
    let job = match args.job.task {
        Some(task) => narrowed(session, job, task)?,
        None => job,
    };
    session.output.one(&job, || attempts_listing(&job.attempts), |output| job_text(output, &job))
}

/// Keeps only the attempts of one task, which may be on a later page: they come in the order of tasks.
fn narrowed(session: &Session, mut job: JobView, task: u32) -> Result<JobView, Failure> {
    let tasks = job.spec["tasks"].as_str().unwrap_or_default();
    if !tasks.parse::<RangeSet>().is_ok_and(|tasks| tasks.contains(task)) {
        let message = format!("job {} has no task {task}", job.summary.job_id);
        return Err(Failure::new(Exit::NotFound, message).hint(format!("its tasks are {tasks}")));
    }
    if job.attempts_total > job.attempts.len() as u64 {
        job.attempts.clear();
        let mut query = PageQuery { page_size: Some(PAGE_SIZE_MAX), page_token: None };
        loop {
            let page = session.client()?.attempts(job.summary.job_id, &query)?;
            let past = page.attempts.last().is_none_or(|last| last.task > task);
            job.attempts.extend(page.attempts.into_iter().filter(|attempt| attempt.task == task));
            query.page_token = page.next_page_token;
            if past || query.page_token.is_none() {
                return Ok(job);
            }
        }
    }
    job.attempts.retain(|attempt| attempt.task == task);
    Ok(job)
}

/// Who is attached to a session now.
fn attached(channels: &[ChannelView]) -> String {
    let one = |channel: &ChannelView| format!("{} ({}) since {}", channel.actor, channel.target, channel.opened_at);
    channels.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn job_text(output: &Output, job: &JobView) -> String {
    let summary = &job.summary;
    let at = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let reason = summary.reason.as_ref().map(|reason| format!("{} (since {})", reason.message, reason.since));
    let state = match job.cancel_requested && !matches!(&*summary.state, "succeeded" | "failed" | "cancelled") {
        true => format!("{}, to be cancelled", output.state(&summary.state)),
        false => output.state(&summary.state),
    };
    let mut lines = vec![format!("job {} {}: {state}", summary.job_id, summary.name)];
    lines.push(fields(&[
        ("waits", reason.unwrap_or_default()),
        ("because", summary.end_reason.as_ref().map(|reason| reason.message.clone()).unwrap_or_default()),
        ("tasks", tasks_text(&summary.tasks)),
        ("submitted", format!("{} by {} for {}/{}", summary.submitted_at, job.actor, summary.tenant, summary.project)),
        ("started", at(summary.started_at)),
        ("ended", at(summary.ended_at)),
        ("attached", attached(&job.channels)),
        ("work", usage_text(&summary.usage)),
        ("cost", amount(&summary.cost)),
        ("energy", job.energy.to_string()),
        ("spec", job.spec_hash.clone()),
    ]));
    if !job.attempts.is_empty() {
        lines.push(String::new());
        lines.push(output.table(&attempts_listing(&job.attempts)));
    }
    if job.attempts_total > job.attempts.len() as u64 && job.attempts.len() > 1 {
        lines.push(format!("{} of {} attempts shown", job.attempts.len(), text::grouped(job.attempts_total)));
    }
    lines.join("\n")
}

fn tasks_text(tasks: &TaskCounts) -> String {
    let parts: Vec<String> = [
        (tasks.waiting, "waiting"),
        (tasks.active, "active"),
        (tasks.succeeded, "succeeded"),
        (tasks.failed, "failed"),
        (tasks.cancelled, "cancelled"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{} {word}", text::grouped(count)))
    .collect();
    parts.join(", ")
}

fn attempts_listing(attempts: &[AttemptView]) -> Listing {
    let columns =
        ["attempt", "centre", "state", "end", "cores", "time_ms", "memory_bytes", "work_gflop", "cost_millionths"];
    let details =
        ["pool", "class", "exit_code", "cpu_ms", "placed_at", "started_at", "ended_at", "rating_version", "mark"];
    let data = ["bytes_in", "bytes_out"];
    let mut listing = Listing::with_details(&columns, &[&details[..], &ENERGY_COLUMNS, &data].concat());
    for attempt in attempts {
        let mut row = vec![
            Cell::text(&attempt.attempt),
            Cell::text(&attempt.centre),
            Cell::state(&state_text(attempt)),
            Cell::text(end_text(attempt)),
            Cell::figure(attempt.cores, attempt.cores),
            Cell::figure(text::span(attempt.wall_ms), attempt.wall_ms),
            Cell::figure(text::memory(attempt.memory_peak_bytes), attempt.memory_peak_bytes),
            Cell::figure(text::work(attempt.gflop), attempt.gflop),
            cost_cell(&attempt.cost),
            Cell::text(&attempt.pool),
            Cell::text(&attempt.class),
            attempt.exit_code.map_or_else(Cell::none, Cell::text),
            Cell::text(attempt.cpu_ms),
            Cell::text(attempt.placed_at),
            moment(attempt.started_at),
            moment(attempt.ended_at),
            Cell::text(attempt.rating_version),
            Cell::text(&attempt.mark),
        ];
        row.extend(energy_cells(&attempt.energy));
        let bytes =
            |of: fn(&DataView) -> u64| attempt.data.as_ref().map_or_else(Cell::none, |data| Cell::text(of(data)));
        row.extend([bytes(|data| data.bytes_in), bytes(|data| data.bytes_out)]);
        listing.row(row);
    }
    listing
}

/// Where an attempt stands: while its data moves, how far that is.
fn state_text(attempt: &AttemptView) -> String {
    let data = attempt.data.as_ref();
    let percent = |data: &DataView| data.percent.map_or_else(String::new, |percent| format!(" {percent} %"));
    match data.and_then(|data| Some((data.staging.as_deref()?, percent(data)))) {
        Some(("in", percent)) => format!("staging{percent}"),
        Some((_, percent)) => format!("staging out{percent}"),
        None => attempt.state.clone(),
    }
}

/// How an attempt ended, in a few words; empty while it has not.
pub(crate) fn end_text(attempt: &AttemptView) -> String {
    let cause = attempt.cause.as_deref().unwrap_or_default();
    let words = match (attempt.exit_code, attempt.signal, cause) {
        (Some(code), _, "exited" | "") => format!("exit {code}"),
        (None, Some(signal), "exited" | "") => format!("signal {signal}"),
        _ => cause.to_owned(),
    };
    match attempt.detail.as_deref() {
        Some(detail) if !detail.is_empty() && cause != "exited" => format!("{words}: {detail}"),
        _ => words,
    }
}

/// Says why a job waits.
pub(crate) fn explain(session: &Session, args: &JobArgs) -> Result<(), Failure> {
    let explain = session.client()?.explain(session.job_id(&args.job)?)?;
    session.output.one(&explain, || rejected_listing(&explain), |output| explain_text(output, &explain))
}

fn rejected_listing(explain: &Explain) -> Listing {
    let mut listing = Listing::new(&["centre", "code", "message"]);
    for rejection in &explain.rejected {
        listing.row(vec![Cell::text(&rejection.centre), Cell::text(&rejection.code), Cell::text(&rejection.message)]);
    }
    listing
}

fn explain_text(output: &Output, explain: &Explain) -> String {
    let mut lines = vec![format!("job {}: {}", explain.job_id, output.state(&explain.state))];
    match &explain.reason {
        Some(reason) => lines.push(fields(&[
            ("waits", reason.message.clone()),
            ("reason", reason.code.clone()),
            ("since", reason.since.to_string()),
        ])),
        None => lines.push(format!("nothing of it waits; what became of it: huisuan show {}", explain.job_id)),
    }
    let rejected = rejected_listing(explain);
    if !rejected.is_empty() {
        lines.push(String::new());
        lines.push(output.table(&rejected));
    }
    if !explain.helps.is_empty() {
        let mut helps = Listing::new(&["what_would_help", "effect"]);
        for help in &explain.helps {
            helps.row(vec![Cell::text(&help.change), Cell::text(&help.effect)]);
        }
        lines.extend([String::new(), output.table(&helps)]);
    }
    lines.join("\n")
}

/// Ends jobs.
pub(crate) fn cancel(session: &Session, args: &JobsArgs) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for selector in &args.jobs {
        answers.push(session.client()?.cancel(session.whole_job_id(selector)?)?);
    }
    let listing = || {
        let mut listing = Listing::new(&["job_id", "state", "cancel_requested"]);
        for answer in &answers {
            listing.row(vec![
                Cell::text(answer.job_id),
                Cell::state(&answer.state),
                Cell::text(if answer.cancel_requested { "yes" } else { "no: it had ended" }),
            ]);
        }
        listing
    };
    match &answers[..] {
        // For people one job is a sentence; for programs the answer is a list, however many there are.
        [answer] if session.output.format == Format::Table => session.output.one(answer, listing, |output| {
            let note = match (answer.cancel_requested, &*answer.state) {
                (false, _) => ", had ended before",
                (true, "cancelled") => "",
                (true, _) => ", to be cancelled",
            };
            format!("job {} {}{note}", answer.job_id, output.state(&answer.state))
        }),
        _ => session.output.list(&answers, &answers, "no jobs", listing),
    }
}
