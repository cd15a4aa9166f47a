//! `doctor`: looks at what commonly goes wrong and says how to repair it.

use std::path::Path;

use huisuan_api::{Client, centres::CentreView, discovery, health::Health, routes::JobsQuery};
use huisuan_server::verify;
use serde::Serialize;

use crate::{
    args::DoctorArgs,
    failure::{Exit, Failure},
    machine,
    session::Session,
    table::{Cell, Listing},
    text,
};

/// The answer of `doctor -o json`, and of `agent --check`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Checks {
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    /// False for what is bad.
    ok: bool,
    /// `ok`, `warn` or `bad`.
    level: Level,
    /// What was found.
    detail: String,
    /// What to do; empty when all is well.
    hint: String,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warn,
    /// It does not work.
    Bad,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Bad => "bad",
        }
    }
}

/// A clock further off than this makes times of different machines misleading.
const CLOCK_OFFSET_MS_MAX: u64 = 2_000;
/// Below this much free space a server's data folder fills up before anybody notices: 1 GiB.
const DATA_FREE_BYTES_MIN: u64 = 1 << 30;

impl Checks {
    /// Notes what is well or bad; the hint is for what is bad.
    pub(crate) fn add(&mut self, name: impl Into<String>, ok: bool, detail: impl Into<String>, hint: &str) {
        self.level(name, if ok { Level::Ok } else { Level::Bad }, detail, hint);
    }

    /// Notes how something is; the hint is for what is not well.
    pub(crate) fn level(&mut self, name: impl Into<String>, level: Level, detail: impl Into<String>, hint: &str) {
        let hint = if level == Level::Ok { String::new() } else { hint.to_owned() };
        let (name, detail) = (name.into(), detail.into());
        self.checks.push(Check { name, ok: level != Level::Bad, level, detail, hint });
    }

    /// Notes what failed.
    pub(crate) fn failed(&mut self, name: &str, failure: &Failure) {
        self.add(name, false, &failure.message, failure.hint.as_deref().unwrap_or_default());
    }

    /// Notes a failed call; `None` when it failed.
    pub(crate) fn call<T>(&mut self, name: &str, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.failed(name, &failure)).ok()
    }
}

/// Looks at everything; fails when a check does.
pub(crate) fn doctor(session: &Session, args: &DoctorArgs) -> Result<(), Failure> {
    let mut checks = Checks::default();
    match &args.data {
        Some(folder) => stored(&mut checks, folder),
        None => running(&mut checks, session),
    }
    report(session, &checks)
}

/// Prints the checks; fails when one is bad.
pub(crate) fn report(session: &Session, checks: &Checks) -> Result<(), Failure> {
    let failed = checks.checks.iter().filter(|check| !check.ok).count();
    session.output.list(checks, &checks.checks, "nothing checked", || listing(checks))?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Error, format!("{} failed", text::count(failed as u64, "check")))
            .hint("follow the hints above, then run `huisuan doctor` again")),
    }
}

/// Looks at the data of a server that does not run.
fn stored(checks: &mut Checks, folder: &Path) {
    // A journal that cannot be folded panics inside, which `verify` tells as an error.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let verified = verify(&machine::server_data(folder));
    std::panic::set_hook(hook);
    match verified {
        Ok(verified) => {
            let (jobs, attempts) = (text::count(verified.jobs, "job"), text::count(verified.attempts, "attempt"));
            let detail = format!("{jobs} and {attempts} are as {} entries of the journal made them", verified.entries);
            checks.add("journal", true, detail, "");
            let hashes = match verified.hashed_after {
                0 => "every entry has its own, over the one before it".to_owned(),
                last => format!("entries up to {last} have none of their own; the one after covers them"),
            };
            checks.add("hashes", true, hashes, "");
            let hint = "keep a copy of the folder: this is a fault of the program";
            checks.add("ledger", verified.balanced, "adds up to nothing, every hold is covered", hint);
        }
        Err(error) => {
            let hint = "stop its server if one runs; otherwise keep a copy of the folder and check the disk";
            checks.add("journal", false, crate::failure::one_line(&format!("{error:#}")), hint);
        }
    }
}

/// Looks at a server that runs, and through it at its network.
fn running(checks: &mut Checks, session: &Session) {
    if let Some(client) = checks.call("server", session.client())
        && let Some(health) = checks.call("server", client.health().map_err(Failure::from))
    {
        let up = text::span(session.now().since(health.started_at.0).0);
        checks.add("server", health.ready, format!("{} answers, up for {up}", client.url()), "see the server's log");
        machine(checks, session, client, &health);
        accelerators(checks);
        network(checks, client);
    }
}

fn machine(checks: &mut Checks, session: &Session, client: &Client, health: &Health) {
    let ours = env!("CARGO_PKG_VERSION");
    let detail = format!("server {}, this program {ours}", health.version);
    checks.add("version", health.version == ours, detail, "use the same version on both sides");

    clock(checks, session, health);

    if let Some(free) = health.data_free_bytes {
        let found = discovery::Folder::of_user().read().ok().flatten().filter(|running| running.url == client.url());
        let place = found.map(|running| format!(" in {}", running.data.display())).unwrap_or_default();
        let detail = format!("{} free{place}", text::memory(free));
        checks.add("data", free >= DATA_FREE_BYTES_MIN, detail, "free some space, or move the data folder");
    }
    let query = JobsQuery { page_size: Some(1), ..JobsQuery::default() };
    if checks.call("token", client.jobs(&query).map_err(Failure::from)).is_some() {
        checks.add("token", true, "accepted", "");
    }
}

/// Whether both machines have the same time.
pub(crate) fn clock(checks: &mut Checks, session: &Session, health: &Health) {
    let offset_ms = session.now().0.abs_diff(health.now.0.0);
    let hint = "let both machines follow the same time servers";
    checks.add("clock", offset_ms <= CLOCK_OFFSET_MS_MAX, format!("{} apart", text::span(offset_ms)), hint);
}

/// Whether the accelerators of this machine can be measured. A machine without any has nothing to check.
pub(crate) fn accelerators(checks: &mut Checks) {
    let found = huisuan_measure::devices();
    let names: Vec<&str> = found.devices.iter().map(|device| device.name.as_str()).collect();
    match (huisuan_measure::measurable_devices(), names.len()) {
        (Err(_), 0) => {}
        (Ok(count), _) => {
            let detail = format!("{} can be measured", text::count(count as u64, "device"));
            checks.add("accelerators", true, detail, "");
        }
        (Err(why), _) => {
            let why = why.to_string();
            let (why, hint) = why.split_once("; hint: ").unwrap_or((&why, "look at the maker's own tools"));
            let detail = format!("{}: declared, not measured: {why}", names.join(", "));
            checks.level("accelerators", Level::Warn, detail, hint);
        }
    }
}

fn network(checks: &mut Checks, client: &Client) {
    if let Some(list) = checks.call("centres", client.centres().map_err(Failure::from)) {
        let detail = text::count(list.centres.len() as u64, "centre");
        checks.add("centres", !list.centres.is_empty(), detail, "add one with `huisuan centre add`");
        for centre in &list.centres {
            check_centre(checks, centre);
        }
    }
    if let Some(ledger) = checks.call("ledger", client.ledger().map_err(Failure::from)) {
        let detail = text::count(ledger.postings, "posting");
        checks.add(
            "ledger",
            ledger.balanced,
            detail,
            "stop the server and keep its data: this is a fault of the program",
        );
    }
}

fn check_centre(checks: &mut Checks, view: &CentreView) {
    let name = |what: &str| format!("{} {what}", view.centre);
    let seen = view.last_seen_at.map_or_else(|| "never seen".to_owned(), |seen| format!("last seen {seen}"));
    checks.add(name("agent"), view.connected, seen, "start its agent, and look at the agent's log");

    let unrated: Vec<&str> = view.pools.iter().filter(|pool| pool.rating.is_none()).map(|pool| &*pool.pool).collect();
    let detail = match unrated.is_empty() {
        true => format!("{} rated", text::count(view.pools.len() as u64, "pool")),
        false => format!("not rated: {}", unrated.join(" ")),
    };
    let ok = unrated.is_empty() && !view.pools.is_empty();
    checks.add(name("rating"), ok, detail, "restart its agent: it rates what is not rated");

    for pool in &view.pools {
        if let Some(doubt) = pool.rating.as_ref().and_then(|rating| rating.doubt.as_ref()) {
            let hint =
                format!("huisuan centre measure {0} {1}, or accept-rating where it is right", view.centre, pool.pool);
            checks.add(name(&format!("rating of {}", pool.pool)), false, &doubt.detail, &hint);
        }
    }

    if let Some(mode) = &view.memory_mode {
        // Watching works, only later: it is said and it is not a fault.
        let detail = match &**mode {
            "cgroup" => "kept by the kernel (cgroup)".to_owned(),
            "watched" => "watched every 100 ms; the kernel would be faster with a delegated cgroup".to_owned(),
            other => other.to_owned(),
        };
        checks.add(name("memory limit"), true, detail, "");
    }
    if !view.pools.is_empty() {
        let detail = if view.images { "run here" } else { "jobs with an image go elsewhere" };
        checks.add(name("container images"), true, detail, "");
    }
    for alarm in &view.alarms {
        let (what, detail) = (format!("alarm {}", alarm.kind), format!("{}: {}", alarm.subject, alarm.detail));
        checks.level(name(&what), Level::Warn, detail, "`huisuan centre alarms` lists all; docs/en/sites.md says more");
    }
    checks.add(name("state"), view.state == "active", &view.state, &format!("huisuan centre resume {}", view.centre));
}

fn listing(checks: &Checks) -> Listing {
    let mut listing = Listing::new(&["level", "name", "detail", "hint"]);
    for check in &checks.checks {
        listing.row(vec![
            Cell::state(check.level.as_str()),
            Cell::text(&check.name),
            Cell::text(&check.detail),
            Cell::text(&check.hint),
        ]);
    }
    listing
}
