//! `centre add|token|ls|show|pause|resume|drain|alarms|maintain|windows|cancel-window|measure|accept-rating`.

mod join;
mod site;

use std::{
    thread,
    time::{Duration, Instant},
};

use huisuan_api::{
    centres::{AlarmView, CentreView, PoolRequest, PoolView, RatingView, WindowRequest, WindowView},
    facts::{FactsFields, LinkFields, PowerFields},
};
use huisuan_model::TimeMs;

use crate::{
    args::{CentreCommand, CentreDrainArgs, PoolArgs},
    commands::{jobs::amount, network},
    failure::{Exit, Failure},
    output::{Output, fields},
    session::Session,
    table::{Cell, Listing},
    text,
};

/// How often a centre that drains is looked at.
const DRAIN_LOOK: Duration = Duration::from_secs(1);

/// Runs one of them.
pub(crate) fn centre(session: &Session, command: &CentreCommand) -> Result<(), Failure> {
    let client = session.client()?;
    let centre = match command {
        CentreCommand::Add(args) => return join::add(session, args),
        CentreCommand::Token(args) => return join::token(session, args),
        CentreCommand::Drain(args) => drain(session, args)?,
        CentreCommand::Alarms(args) => {
            if let Some(centre) = &args.clear {
                client.clear_alarms(centre.as_str())?;
            }
            let list = client.alarms()?;
            return session.output.list(&list, &list.alarms, "no alarms", || alarms_listing(&list.alarms));
        }
        CentreCommand::Ls => {
            let list = client.centres()?;
            let empty = "no centre is known; add one with `huisuan centre add`";
            session.output.list(&list, &list.centres, empty, || centres_listing(&list.centres, session.now()))?;
            let alarms: usize = list.centres.iter().map(|centre| centre.alarms.len()).sum();
            if alarms > 0 {
                let alarms = text::count(alarms as u64, "alarm");
                session.output.remark(&format!("{alarms}: somebody has to look; see `huisuan centre alarms`"));
            }
            if list.centres.iter().any(|centre| centre.overlapping) {
                session.output.remark("overlapping centres share the same cores: do not add them up");
            }
            return Ok(());
        }
        CentreCommand::Show(args) => client.centre(args.centre.as_str())?,
        CentreCommand::Pause(args) => client.pause(args.centre.as_str())?,
        CentreCommand::Resume(args) => client.resume(args.centre.as_str())?,
        CentreCommand::Windows(args) => {
            let view = client.centre(args.centre.as_str())?;
            return session
                .output
                .list(&view.windows, &view.windows, "no maintenance", || windows_listing(&view.windows));
        }
        CentreCommand::Maintain(args) => {
            let (from, until) = (args.from.at(session.now()), args.until.at(session.now()));
            let pool = args.pool.as_ref().map(ToString::to_string);
            client.maintain(args.centre.as_str(), &WindowRequest { pool, from, until, note: args.note.clone() })?
        }
        CentreCommand::CancelWindow(args) => client.cancel_window(args.centre.as_str(), args.window)?,
        CentreCommand::Measure(args) => client.measure(args.centre.as_str(), &pool_request(args))?,
        CentreCommand::AcceptRating(args) => client.accept_ratings(args.centre.as_str(), &pool_request(args))?,
    };
    let listing = || centres_listing(std::slice::from_ref(&centre), session.now());
    session.output.one(&centre, listing, |output| match command {
        CentreCommand::Maintain(_) | CentreCommand::CancelWindow(_) => match centre.windows.is_empty() {
            true => format!("centre {}: no maintenance", centre.centre),
            false => output.table(&windows_listing(&centre.windows)),
        },
        CentreCommand::Measure(_) => format!("centre {}: measured as soon as nothing runs there", centre.centre),
        CentreCommand::AcceptRating(_) => ratings_text(output, &centre),
        CentreCommand::Pause(_) | CentreCommand::Resume(_) | CentreCommand::Drain(_) => {
            format!("centre {} {}, {}", centre.centre, output.state(&centre.state), text::count(centre.active, "task"))
        }
        _ => centre_text(output, &centre, session.now()),
    })
}

/// Pauses a centre and waits until nothing is placed or runs there.
#[expect(clippy::disallowed_methods, reason = "a pause between two looks; Ctrl-C ends the process")]
fn drain(session: &Session, args: &CentreDrainArgs) -> Result<CentreView, Failure> {
    let client = session.client()?;
    let deadline = args.timeout.map(|timeout| Instant::now() + Duration::from_millis(timeout.0));
    let mut centre = client.pause(args.centre.as_str())?;
    let mut told = 0;
    while centre.active > 0 {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let left = text::count(centre.active, "task");
            return Err(Failure::new(Exit::Timeout, format!("centre {} still has {left}", centre.centre))
                .hint(format!("it stays paused; `huisuan centre resume {}` gives it work again", centre.centre)));
        }
        if centre.active != told {
            session.output.remark(&format!(
                "centre {} paused, {} to end",
                centre.centre,
                text::count(centre.active, "task")
            ));
            told = centre.active;
        }
        thread::sleep(DRAIN_LOOK);
        centre = client.centre(args.centre.as_str())?;
    }
    Ok(centre)
}

fn alarms_listing(alarms: &[AlarmView]) -> Listing {
    let mut listing = Listing::new(&["centre", "kind", "subject", "since", "detail"]);
    for alarm in alarms {
        let texts = [&alarm.centre, &alarm.kind, &alarm.subject].map(Cell::text);
        let mut row = Vec::from(texts);
        row.extend([Cell::text(alarm.since), Cell::text(&alarm.detail)]);
        listing.row(row);
    }
    listing
}

/// Centres as a list.
pub(crate) fn centres_listing(centres: &[CentreView], now: TimeMs) -> Listing {
    let columns = ["centre", "class", "state", "connected", "cores", "memory_bytes", "rate_gflop_per_s", "active"];
    let details =
        ["engine", "zone", "overlapping", "cores_used", "memory_used_bytes", "last_seen_at", "uncertified_gflop_per_s"];
    let mut listing = Listing::with_details(&columns, &details);
    for centre in centres {
        let sum = |value: fn(&PoolView) -> u64| centre.pools.iter().map(value).fold(0, u64::saturating_add);
        let (cores, used) = (sum(|pool| millicores(pool.cores)), sum(|pool| millicores(pool.cores_used)));
        let (memory, memory_used) = (sum(|pool| pool.memory_bytes), sum(|pool| pool.memory_used_bytes));
        // What nobody measured, or nobody believes, is no capacity to be summed.
        let rate = sum(|pool| pool.rating.as_ref().filter(|one| sold(one)).map_or(0, |one| one.sustained_gflop_per_s));
        let apart =
            sum(|pool| pool.rating.as_ref().filter(|one| !sold(one)).map_or(0, |one| one.sustained_gflop_per_s));
        listing.row(vec![
            Cell::text(&centre.centre),
            Cell::text(&centre.class),
            Cell::state(&centre.state),
            connected(centre, now),
            Cell::figure(format!("{}/{}", text::cores(used), text::cores(cores)), text::cores(cores)),
            Cell::figure(format!("{}/{}", text::memory(memory_used), text::memory(memory)), memory),
            match (rate, apart) {
                (0, 0) => Cell::text("not rated"),
                (0, apart) => Cell::text(format!("not certified ({})", text::rate(apart))),
                (rate, _) => Cell::figure(text::rate(rate), rate),
            },
            Cell::figure(text::grouped(centre.active), centre.active),
            Cell::text(&centre.engine),
            Cell::text(&centre.zone),
            Cell::text(centre.overlapping),
            Cell::text(text::cores(used)),
            Cell::text(memory_used),
            centre.last_seen_at.map_or_else(Cell::none, Cell::text),
            Cell::text(apart),
        ]);
    }
    listing
}

/// Whether a rating's units may be sold; a server from before certificates does not say so.
fn sold(rating: &RatingView) -> bool {
    rating.certified || (rating.certificate.is_none() && rating.doubt.is_none() && rating.mark != "declared")
}

fn pool_request(args: &PoolArgs) -> PoolRequest {
    PoolRequest { pool: args.pool.as_ref().map(ToString::to_string) }
}

/// The pools, and beneath them what somebody has to look at.
fn ratings_text(output: &Output, centre: &CentreView) -> String {
    let mut lines = vec![output.table(&pools_listing(&centre.pools))];
    for pool in &centre.pools {
        if let Some(doubt) = pool.rating.as_ref().and_then(|rating| rating.doubt.as_ref()) {
            let (pool, name, why) = (&pool.pool, &centre.centre, &doubt.detail);
            lines.push(format!("pool {pool}: the rating is not believed, and nothing new is placed there: {why}"));
            lines.push(format!(
                "hint: huisuan centre measure {name} {pool}; where it is right: huisuan centre accept-rating {name} {pool}"
            ));
        }
    }
    lines.join("\n")
}

fn millicores(cores: f64) -> u64 {
    // Cores on the wire are thousandths by construction; `as` saturates what is not.
    (cores * 1000.0).round() as u64
}

fn connected(centre: &CentreView, now: TimeMs) -> Cell {
    match (centre.connected, centre.last_seen_at) {
        (true, _) => Cell::state("yes"),
        (false, Some(seen)) => Cell::text(format!("no, {} ago", text::span(now.since(seen.0).0))),
        (false, None) => Cell::state("no"),
    }
}

fn centre_text(output: &Output, centre: &CentreView, now: TimeMs) -> String {
    let seen = centre.last_seen_at.map(|seen| format!("{} ago", text::span(now.since(seen.0).0)));
    let mut lines = vec![format!("centre {}: {}", centre.centre, output.state(&centre.state))];
    lines.push(fields(&[
        ("class", centre.class.clone()),
        ("engine", centre.engine.clone()),
        ("zone", centre.zone.clone()),
        ("price", format!("{} per P·h ({})", amount(&centre.tariff.price_per_p_h), centre.class)),
        ("agent", if centre.connected { "connected" } else { "not connected" }.to_owned()),
        ("away", centre.absent_since.map(|since| format!("since {since}: gets no new work")).unwrap_or_default()),
        ("seen", seen.unwrap_or_else(|| "never".to_owned())),
        ("memory", centre.memory_mode.clone().map(|mode| format!("limits kept by: {mode}")).unwrap_or_default()),
        ("images", if centre.images { "containers run here" } else { "" }.to_owned()),
        ("cores", if centre.overlapping { "shared with other centres: do not add them up" } else { "" }.to_owned()),
        ("active", text::count(centre.active, "task")),
        ("place", centre.facts.as_ref().and_then(place).unwrap_or_default()),
        ("power", centre.facts.as_ref().and_then(|facts| facts.power.as_ref()).map(power).unwrap_or_default()),
        ("links", centre.facts.as_ref().map(links).unwrap_or_default()),
    ]));
    if !centre.alarms.is_empty() {
        lines.push(String::new());
        lines.push(output.table(&alarms_listing(&centre.alarms)));
    }
    if !centre.windows.is_empty() {
        lines.push(String::new());
        lines.push(output.table(&windows_listing(&centre.windows)));
    }
    if let Some(told) = &centre.site {
        lines.extend(site::lines(output, told));
    }
    if !centre.pools.is_empty() {
        lines.push(String::new());
        lines.push(ratings_text(output, centre));
    }
    lines.join("\n")
}

fn place(facts: &FactsFields) -> Option<String> {
    let (north, east) = facts.latitude.zip(facts.longitude)?;
    Some(format!("{north}, {east}"))
}

fn power(power: &PowerFields) -> String {
    let [price, grams] = [&power.price_cny_per_kwh, &power.carbon_g_per_kwh].map(|hours| network::range(hours));
    format!("CNY {price} and {grams} g CO2 a kWh, PUE {}", power.pue)
}

fn links(facts: &FactsFields) -> String {
    let link = |link: &LinkFields| format!("{} ({} ms, {} Gbit/s)", link.to, link.round_trip_ms, link.gbit_per_s);
    facts.links.iter().map(link).collect::<Vec<_>>().join(", ")
}

fn windows_listing(windows: &[WindowView]) -> Listing {
    let mut listing = Listing::new(&["window", "pool", "from", "until", "note"]);
    for window in windows {
        listing.row(vec![
            Cell::text(window.window),
            Cell::text(window.pool.as_deref().unwrap_or("all")),
            Cell::text(window.from),
            Cell::text(window.until),
            Cell::text(&window.note),
        ]);
    }
    listing
}

fn pools_listing(pools: &[PoolView]) -> Listing {
    let mut listing = Listing::new(&[
        "pool",
        "class",
        "cores",
        "memory_bytes",
        "sustained_gflop_per_s",
        "nameplate_gflop_per_s",
        "rated_by",
    ]);
    for pool in pools {
        let (cores, used) = (text::cores(millicores(pool.cores)), text::cores(millicores(pool.cores_used)));
        let memory = format!("{}/{}", text::memory(pool.memory_used_bytes), text::memory(pool.memory_bytes));
        let mut row = vec![
            Cell::text(&pool.pool),
            Cell::text(&pool.class),
            Cell::figure(format!("{used}/{cores}"), cores),
            Cell::figure(memory, pool.memory_bytes),
        ];
        row.extend(match &pool.rating {
            Some(rating) => [
                Cell::figure(
                    match &rating.doubt {
                        Some(_) => format!("{} doubted", text::rate(rating.sustained_gflop_per_s)),
                        None => format!("{} {}", text::rate(rating.sustained_gflop_per_s), rating.mark),
                    },
                    rating.sustained_gflop_per_s,
                ),
                Cell::figure(text::rate(rating.nameplate_gflop_per_s), rating.nameplate_gflop_per_s),
                Cell::text(format!("{} v{}", rating.method, rating.version)),
            ],
            None => [Cell::text("not rated"), Cell::none(), Cell::none()],
        });
        listing.row(row);
    }
    listing
}
