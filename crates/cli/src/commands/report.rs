//! `report growth|hours|oddities`.

use std::{fs, path::Path};

use huisuan_api::{
    reports::{GrowthFigures, GrowthQuery, GrowthView, HourList, HoursQuery, OddityList, RankView},
    routes,
};
use huisuan_model::Class;
use huisuan_study::{
    indicator::{Indicators, read_indicators},
    plot::{Chart, Curve},
};
use serde::Serialize;

use crate::{
    args::{GrowthArgs, HoursArgs, ReportCommand},
    commands::jobs::{ENERGY_COLUMNS, energy_cells},
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
    text,
};

/// Runs one of them.
pub(crate) fn report(session: &Session, command: &ReportCommand) -> Result<(), Failure> {
    match command {
        ReportCommand::Growth(args) => growth(session, args),
        ReportCommand::Hours(args) => hours(session, args),
        ReportCommand::Oddities => oddities(session),
    }
}

/// What was measured, and beside it what somebody declared.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    measured: GrowthView,
    /// Series of others, by name and period.
    #[serde(skip_serializing_if = "Indicators::is_empty")]
    declared: Indicators,
}

fn growth(session: &Session, args: &GrowthArgs) -> Result<(), Failure> {
    let declared = match &args.indicator {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
            read_indicators(&text).map_err(|error| {
                let text = error.to_string();
                let (fact, hint) = text.split_once("; hint: ").unwrap_or((&text, ""));
                Failure::new(Exit::Usage, fact).hint(hint)
            })?
        }
        None => Indicators::new(),
    };
    let query = GrowthQuery { by: Some(args.by.clone()) };
    let measured: GrowthView = session.client()?.ask(routes::REPORT_GROWTH, &[], &query)?;
    let answer = Answer { measured, declared };
    if let Some(folder) = &args.svg {
        plots(session, &answer, folder)?;
        declared_plots(session, &answer, folder)?;
    }
    remarks(session, &answer);
    session.output.one(
        &answer,
        || listing(&answer),
        |output| {
            let head = format!(
                "By {} in {}. Capacity and delivery are counted with the ratings of pools; shares and growth are ratios.",
                answer.measured.by, answer.measured.zone
            );
            let ranks = ranking(&answer);
            let mut text = format!("{head}\n\n{}", output.table(&listing(&answer)));
            let energy = energy_listing(&answer);
            if !energy.is_empty() {
                text.push_str(&format!("\n\n{}", output.table(&energy)));
            }
            if !ranks.is_empty() {
                text.push_str(&format!("\n\n{}", output.table(&ranks)));
            }
            text
        },
    )
}

/// What the figures do not say by themselves.
fn remarks(session: &Session, answer: &Answer) {
    let periods = &answer.measured.periods;
    let shared = |figures: &GrowthFigures| figures.capacity.gflop == 0 && figures.delivered.gflop > 0;
    if periods.iter().flat_map(|period| period.classes.values()).any(shared) {
        session.output.remark("no capacity: centres that share their cores with others are not added up");
    }
    for (name, series) in &answer.declared {
        let outside = series.keys().filter(|period| periods.iter().all(|known| known.period != **period)).count();
        if outside > 0 {
            let values = text::count(outside as u64, "value");
            session
                .output
                .remark(&format!("`{name}`: {values} of periods in which nothing was metered, not in the table"));
        }
    }
}

fn percent(ratio: Option<f64>) -> Cell {
    ratio.map_or_else(Cell::none, |ratio| Cell::figure(format!("{:.1} %", ratio * 100.0), ratio))
}

fn change(ratio: Option<f64>) -> Cell {
    ratio.map_or_else(Cell::none, |ratio| Cell::figure(format!("{:+.1} %", ratio * 100.0), ratio))
}

/// One row for each period and class; then those of the declared series, marked as such.
fn listing(answer: &Answer) -> Listing {
    let columns = [
        "period",
        "class",
        "capacity_gflop",
        "delivered_gflop",
        "allocated",
        "used",
        "growth",
        "year_on_year",
        "year_to_date_gflop",
        "growth_to_date",
        "mark",
    ];
    let mut listing = Listing::with_details(&columns, &[&["complete", "value"][..], &ENERGY_COLUMNS].concat());
    for period in &answer.measured.periods {
        for (class, figures) in &period.classes {
            let mut row = vec![
                Cell::text(if period.complete { period.period.clone() } else { format!("{}*", period.period) }),
                Cell::text(class),
                Cell::figure(text::work(figures.capacity.gflop), figures.capacity.gflop),
                Cell::figure(text::work(figures.delivered.gflop), figures.delivered.gflop),
                percent(figures.allocated_share),
                percent(figures.used_share),
                change(figures.growth),
                change(figures.growth_year),
                Cell::figure(text::work(figures.to_date.gflop), figures.to_date.gflop),
                change(figures.growth_to_date),
                Cell::text("metered"),
                Cell::text(period.complete),
                Cell::none(),
            ];
            row.extend(energy_cells(&figures.energy));
            listing.row(row);
        }
        for (name, series) in &answer.declared {
            let Some(value) = series.get(&period.period) else { continue };
            let mut row = vec![Cell::text(&period.period), Cell::text(name), Cell::none()];
            row.push(Cell::figure(value, value));
            row.extend((0..6).map(|_| Cell::none()));
            row.extend([Cell::text("declared"), Cell::none(), Cell::figure(value, value)]);
            row.extend((0..ENERGY_COLUMNS.len()).map(|_| Cell::none()));
            listing.row(row);
        }
    }
    listing
}

/// Energy of what was delivered, where anything is known of it.
fn energy_listing(answer: &Answer) -> Listing {
    let mut listing = Listing::new(&["period", "class", "energy"]);
    for period in &answer.measured.periods {
        for (class, figures) in period.classes.iter().filter(|(_, figures)| figures.energy.energy_kwh.is_some()) {
            listing.row(vec![Cell::text(&period.period), Cell::text(class), Cell::text(&figures.energy)]);
        }
    }
    listing
}

/// What the API calls the industry of tenants that have none.
const NO_INDUSTRY: &str = "-";

/// Tenants and industries that used most in the last period, by class.
fn ranking(answer: &Answer) -> Listing {
    let mut listing = Listing::new(&["period", "class", "rank", "of", "name", "delivered_gflop", "share"]);
    let Some(last) = answer.measured.periods.last() else { return listing };
    for (class, figures) in &last.classes {
        let mut add = |rank: &RankView, of: &str| {
            listing.row(vec![
                Cell::text(&last.period),
                Cell::text(class),
                Cell::figure(rank.rank, rank.rank),
                Cell::text(of),
                Cell::text(if rank.name == NO_INDUSTRY { "none declared" } else { &rank.name }),
                Cell::figure(text::work(rank.delivered.gflop), rank.delivered.gflop),
                percent(Some(rank.share)),
            ]);
        };
        figures.tenants.iter().for_each(|rank| add(rank, "tenant"));
        // Where nobody has an industry, there is nothing to say of industries.
        let known = figures.industries.iter().any(|rank| rank.name != NO_INDUSTRY);
        figures.industries.iter().filter(|_| known).for_each(|rank| add(rank, "industry"));
    }
    listing
}

/// One chart for each class: what was there and what was delivered, in P·h.
fn plots(session: &Session, answer: &Answer, folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::file("made", folder, &error))?;
    for class in Class::ALL {
        let figures: Vec<Option<&GrowthFigures>> =
            answer.measured.periods.iter().map(|period| period.classes.get(&class)).collect();
        if figures.iter().all(Option::is_none) {
            continue;
        }
        let curve = |name: &str, value: &dyn Fn(&GrowthFigures) -> f64| Curve {
            name: name.to_owned(),
            points: figures.iter().enumerate().map(|(at, one)| (at as f64, one.map_or(0.0, value))).collect(),
        };
        let label = |at: usize| answer.measured.periods.get(at).map_or("", |period| &period.period);
        let last = answer.measured.periods.len().saturating_sub(1);
        let chart = Chart {
            title: format!("{class}: capacity and delivery by {} 容量与交付", answer.measured.by),
            note: format!("metered; {} to {}; P·h of {}", label(0), label(last), class.precision()),
            x_label: format!("{}s since {}", answer.measured.by, label(0)),
            y_label: "P·h".to_owned(),
            y_max: None,
            curves: vec![
                curve("capacity", &|figures| figures.capacity.p_h),
                curve("delivered", &|figures| figures.delivered.p_h),
            ],
        };
        let path = folder.join(format!("growth-{class}.svg"));
        fs::write(&path, chart.svg()).map_err(|error| Failure::file("written", &path, &error))?;
        session.output.remark(&format!("{} written", path.display()));
    }
    Ok(())
}

/// One chart for each declared series, with all of its periods.
fn declared_plots(session: &Session, answer: &Answer, folder: &Path) -> Result<(), Failure> {
    for (number, (name, series)) in (1..).zip(&answer.declared) {
        let points = series.values().enumerate().map(|(at, value)| (at as f64, *value)).collect();
        let first = series.keys().next().map_or("", String::as_str);
        let last = series.keys().next_back().map_or("", String::as_str);
        let chart = Chart {
            title: format!("{name} 申报指标"),
            note: format!("declared, not metered; {first} to {last}"),
            x_label: format!("{}s since {first}", answer.measured.by),
            y_label: name.clone(),
            y_max: None,
            curves: vec![Curve { name: name.clone(), points }],
        };
        // Names are anybody's text: files are numbered in their order.
        let path = folder.join(format!("indicator-{number}.svg"));
        fs::write(&path, chart.svg()).map_err(|error| Failure::file("written", &path, &error))?;
        session.output.remark(&format!("{} written", path.display()));
    }
    Ok(())
}

fn hours(session: &Session, args: &HoursArgs) -> Result<(), Failure> {
    let query = HoursQuery { centre: args.centre.as_ref().map(ToString::to_string), hours: Some(args.hours) };
    let list: HourList = session.client()?.ask(routes::REPORT_HOURS, &[], &query)?;
    session.output.list(&list, &list.hours, "no centre had any capacity in these hours", || {
        let columns = ["centre", "pool", "class", "from", "capacity", "used", "idle", "unavailable", "beyond"];
        let mut listing = Listing::new(&columns);
        for hour in &list.hours {
            // Thousandths times milliseconds, as hours of whole devices or cores.
            let whole = |value: i64| Cell::figure(format!("{:.3} h", value as f64 / 3.6e9), value);
            listing.row(vec![
                Cell::text(&hour.centre),
                Cell::text(&hour.pool),
                Cell::text(&hour.class),
                Cell::text(hour.from),
                whole(hour.capacity),
                whole(hour.used),
                whole(hour.idle),
                whole(hour.unavailable),
                whole(hour.beyond),
            ]);
        }
        listing
    })
}

fn oddities(session: &Session) -> Result<(), Failure> {
    let list: OddityList = session.client()?.ask(routes::ODDITIES, &[], &())?;
    session.output.list(&list, &list.oddities, "nothing odd was reported", || {
        let mut listing = Listing::new(&["number", "at", "times", "centre", "attempt", "kind", "detail"]);
        for oddity in &list.oddities {
            listing.row(vec![
                Cell::text(oddity.number),
                Cell::text(oddity.at),
                Cell::text(oddity.count),
                Cell::text(&oddity.centre),
                Cell::text(&oddity.attempt),
                Cell::text(&oddity.kind),
                Cell::text(&oddity.detail),
            ]);
        }
        listing
    })
}
