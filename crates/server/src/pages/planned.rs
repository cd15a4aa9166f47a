//! What is planned at a centre: maintenance, and capacity that is kept in advance.

use huisuan_api::{Timestamp, centres::CentreView, reservations::ReservationView};
use huisuan_model::TimeMs;
use maud::{Markup, html};

use super::{
    numbers::{count, dash, moment},
    page::Page,
    words,
};

/// A table of what is to come or goes on, the first to begin first; nothing where nothing is planned.
pub(super) fn section(page: &Page, centre: &CentreView, reservations: &[ReservationView], now: TimeMs) -> Markup {
    let coming = |until: &Timestamp| until.0 > now;
    let windows = centre.windows.iter().filter(|window| coming(&window.until)).map(|window| Line {
        what: page.say(words::MAINTENANCE).to_owned(),
        pool: window.pool.as_deref(),
        amount: None,
        from: window.from,
        until: window.until,
        who: None,
        note: &window.note,
    });
    let kept = reservations.iter().filter(|kept| kept.centre == centre.centre && coming(&kept.until));
    let kept = kept.map(|kept| Line {
        what: page.fill(words::RESERVATION, &[&kept.reservation.to_string()]),
        pool: Some(&kept.pool),
        amount: Some(amount(page, kept)),
        from: kept.from,
        until: kept.until,
        who: Some(&kept.tenant),
        note: &kept.note,
    });
    // Those that take whole pools are windows already.
    let told = centre.site.iter().flat_map(|site| &site.reservations);
    let parts = told.filter(|one| one.pools.is_empty() && coming(&one.until)).map(|one| Line {
        what: page.say(words::SITE_RESERVATION).to_owned(),
        pool: None,
        amount: Some(page.fill(words::NODES_MANY, &[&one.nodes.to_string()])),
        from: one.from,
        until: one.until,
        who: None,
        note: &one.name,
    });
    let mut lines: Vec<Line<'_>> = windows.chain(kept).chain(parts).collect();
    lines.sort_by_key(|line| line.from.0);
    html! {
        @if !lines.is_empty() {
            section {
                div.section-head { h2 { (page.say(words::PLANNED)) } }
                div.card.table { table.lines {
                    thead { tr {
                        th scope="col" { (page.say(words::PLANNED_WHAT)) }
                        th scope="col" { (page.say(words::POOL)) }
                        th scope="col" { (page.say(words::PLANNED_HELD)) }
                        th scope="col" { (page.say(words::PLANNED_FROM)) }
                        th scope="col" { (page.say(words::PLANNED_UNTIL)) }
                        th scope="col" { (page.say(words::TENANT)) }
                    } }
                    tbody { @for line in &lines { (row(page, line, now)) } }
                } }
            }
        }
    }
}

struct Line<'a> {
    what: String,
    pool: Option<&'a str>,
    amount: Option<String>,
    from: Timestamp,
    until: Timestamp,
    who: Option<&'a str>,
    note: &'a str,
}

fn row(page: &Page, line: &Line<'_>, now: TimeMs) -> Markup {
    let text = |text: Option<&str>| text.map_or_else(dash, |text| html! { (text) });
    html! {
        tr {
            td { (line.what) @if !line.note.is_empty() { " " span.quiet { (line.note) } } }
            td data-label=(page.say(words::POOL)) { (text(line.pool)) }
            td data-label=(page.say(words::PLANNED_HELD)) { (text(line.amount.as_deref())) }
            td data-label=(page.say(words::PLANNED_FROM)) { (moment(line.from, now, page.language)) }
            td data-label=(page.say(words::PLANNED_UNTIL)) { (moment(line.until, now, page.language)) }
            td data-label=(page.say(words::TENANT)) { (text(line.who)) }
        }
    }
}

/// What its jobs hold of what is kept: `0 / 4 cores`, `2 / 8 devices`.
fn amount(page: &Page, kept: &ReservationView) -> String {
    let (held, all, unit) = match kept.devices > 0.0 {
        true => (kept.devices_held, kept.devices, words::DEVICES_MANY),
        false => (kept.cores_held, kept.cores, words::CORES_MANY),
    };
    page.fill(unit, &[&format!("{} / {}", count(held), count(all))])
}
