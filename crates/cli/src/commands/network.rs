//! `network set|show`: what lies between centres, and their power.

use std::{collections::BTreeMap, fs, path::Path};

use huisuan_api::{
    centres::CentreView,
    facts::{FactsFields, LinkFields, PowerFields},
};
use serde::Deserialize;

use crate::{
    args::NetworkCommand,
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
};

/// Runs one of them.
pub(crate) fn network(session: &Session, command: &NetworkCommand) -> Result<(), Failure> {
    let client = session.client()?;
    let centres = match command {
        NetworkCommand::Show => client.centres()?.centres,
        NetworkCommand::Set(args) => {
            let declared = read(&args.file)?;
            // All names are looked at before the first centre is changed.
            let known = client.centres()?.centres;
            if let Some((id, _)) = declared.iter().find(|(id, _)| known.iter().all(|centre| centre.centre != **id)) {
                return Err(Failure::new(Exit::NotFound, format!("centre `{id}` is not in the network"))
                    .hint("`huisuan centre ls` lists the centres"));
            }
            let set = |(id, facts): (&String, &FactsFields)| client.set_facts(id, facts);
            declared.iter().map(set).collect::<Result<Vec<_>, _>>()?
        }
    };
    let facts: BTreeMap<&str, &FactsFields> =
        centres.iter().filter_map(|centre| Some((centre.centre.as_str(), centre.facts.as_ref()?))).collect();
    let empty = "nothing is declared; `huisuan network set FILE` does";
    let rows: Vec<&CentreView> = centres.iter().filter(|centre| centre.facts.is_some()).collect();
    session.output.list(&facts, &rows, empty, || listing(&rows))?;
    Ok(())
}

/// Centres with what is declared of them; each link has a row of its own.
fn listing(centres: &[&CentreView]) -> Listing {
    let mut listing =
        Listing::new(&["centre", "place", "pue", "cny_per_kwh", "g_per_kwh", "link_to", "round_trip_ms", "gbit_per_s"]);
    for centre in centres {
        let facts = centre.facts.clone().unwrap_or_default();
        let place = facts.latitude.zip(facts.longitude).map(|(north, east)| format!("{north}, {east}"));
        let power = facts.power.as_ref();
        let figure = |value: Option<String>| value.map_or_else(Cell::none, Cell::text);
        let own = [
            Cell::text(&centre.centre),
            figure(place),
            figure(power.map(|power| power.pue.to_string())),
            figure(power.map(|power| range(&power.price_cny_per_kwh))),
            figure(power.map(|power| range(&power.carbon_g_per_kwh))),
        ];
        let links = facts
            .links
            .iter()
            .map(|link| [Cell::text(&link.to), Cell::text(link.round_trip_ms), Cell::text(link.gbit_per_s)]);
        let mut links: Vec<[Cell; 3]> = links.collect();
        if links.is_empty() {
            links.push([Cell::none(), Cell::none(), Cell::none()]);
        }
        for link in links {
            listing.row(own.iter().cloned().chain(link).collect());
        }
    }
    listing
}

/// `0.45`, or the least and the most of a day: `0.18-0.95`.
pub(crate) fn range(hours: &[f64]) -> String {
    let least = hours.iter().copied().fold(f64::INFINITY, f64::min);
    let most = hours.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if least < most { format!("{least}-{most}") } else { least.to_string() }
}

/// A network file: the fields are those of scenarios.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    centre: Vec<CentreFile>,
    #[serde(default)]
    link: Vec<LinkFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CentreFile {
    id: String,
    latitude: Option<f64>,
    longitude: Option<f64>,
    utc_offset_minutes: Option<i32>,
    pue: Option<f64>,
    power_cny_per_kwh: Option<Hourly>,
    carbon_g_per_kwh: Option<Hourly>,
    /// Of one device, or of one core of a pool without devices, at work beyond idling.
    #[serde(default)]
    watts: BTreeMap<String, f64>,
    /// What kinds of work reach of a pool's rating, by pool and application.
    #[serde(default)]
    factors: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkFile {
    from: String,
    to: String,
    round_trip_ms: f64,
    gbit_per_s: f64,
    #[serde(default)]
    price_cny_per_gb: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a number, or a list of 24 numbers, one for each hour of the day")]
enum Hourly {
    Constant(f64),
    ByHour(Vec<f64>),
}

impl Hourly {
    fn figures(found: Option<&Hourly>) -> Vec<f64> {
        match found {
            None => vec![0.0],
            Some(Hourly::Constant(figure)) => vec![*figure],
            Some(Hourly::ByHour(figures)) => figures.clone(),
        }
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, FactsFields>, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    declared(&text).map_err(|problem| {
        Failure::new(Exit::Usage, format!("network file {}: {problem}", path.display()))
            .hint("docs/en/network.md lists all fields of a network file")
    })
}

/// What a file declares, by centre.
fn declared(text: &str) -> Result<BTreeMap<String, FactsFields>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let mut centres = BTreeMap::new();
    for centre in file.centre {
        let CentreFile { utc_offset_minutes, pue, power_cny_per_kwh, carbon_g_per_kwh, watts, .. } = centre;
        let told = pue.is_some() || power_cny_per_kwh.is_some() || carbon_g_per_kwh.is_some() || !watts.is_empty();
        let power = told.then(|| PowerFields {
            utc_offset_minutes,
            price_cny_per_kwh: Hourly::figures(power_cny_per_kwh.as_ref()),
            carbon_g_per_kwh: Hourly::figures(carbon_g_per_kwh.as_ref()),
            pue: pue.unwrap_or(1.0),
            watts,
        });
        let CentreFile { id, latitude, longitude, factors, .. } = centre;
        let facts = FactsFields { latitude, longitude, links: Vec::new(), power, factors };
        if centres.insert(id.clone(), facts).is_some() {
            return Err(format!("centre `{id}` is listed twice"));
        }
    }
    for LinkFile { from, to, round_trip_ms, gbit_per_s, price_cny_per_gb } in file.link {
        let listed = centres.get_mut(&from);
        let facts = listed.ok_or_else(|| format!("a link begins at `{from}`, which is no [[centre]] of the file"))?;
        facts.links.push(LinkFields { to, round_trip_ms, gbit_per_s, price_cny_per_gb });
    }
    Ok(centres)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_declares_centres_and_links() {
        let text = "
            [[centre]]
            id = \"a\"
            latitude = 34.75
            longitude = 113.62
            pue = 1.25
            carbon_g_per_kwh = 560
            watts = { A100 = 350 }
            factors = { A100 = { llm-train = 0.86 } }
            [[centre]]
            id = \"b\"
            [[link]]
            from = \"a\"
            to = \"b\"
            round_trip_ms = 8
            gbit_per_s = 400";
        let found = declared(text).expect("a sound file");
        let (a, b) = (&found["a"], &found["b"]);
        assert_eq!((a.latitude, a.links[0].to.as_str(), &b.power), (Some(34.75), "b", &None));
        assert_eq!(a.factors["A100"]["llm-train"], 0.86);
        let power = a.power.as_ref().expect("some of it is told");
        assert_eq!((power.pue, &power.carbon_g_per_kwh[..], power.watts["A100"]), (1.25, &[560.0][..], 350.0));
        for (text, part) in [
            ("[[centre]]\nid = \"a\"\n[[centre]]\nid = \"a\"", "listed twice"),
            (
                "[[centre]]\nid = \"a\"\n[[link]]\nfrom = \"b\"\nto = \"a\"\nround_trip_ms = 1\ngbit_per_s = 1",
                "begins at `b`",
            ),
            ("[[centre]]\nid = \"a\"\nwhere = 1", "unknown field `where`"),
        ] {
            let problem = declared(text).expect_err(part);
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn a_range_is_short() {
        assert_eq!((range(&[0.45; 24]), range(&[0.2, 0.9, 0.5])), ("0.45".to_owned(), "0.2-0.9".to_owned()));
    }
}
