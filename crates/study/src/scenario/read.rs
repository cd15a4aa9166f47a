//! From a file to a scenario that can run.

use std::{path::Path, sync::Arc};

use huisuan_model::{Money, Tenant, TenantId, TimeMs};
use huisuan_schedule::{Budget, Policy, Seed, queue::QueuePolicy};
use huisuan_twin::{
    World,
    setup::{Planning, Setup, Site},
    workload::{Arrival, Family, Workload},
};
use serde::Serialize;
use toml::{Spanned, value::Datetime};

use super::{
    check::{Check, in_units},
    declared, faults,
    file::{File, TitleFile},
    jobs::{self, FamilyFacts, Made},
    network::{self, LinkFacts, SiteFacts},
    reservations, syntax, trace,
};
use crate::{
    policies::{self, Decides, PolicyError},
    read::{ReadError, Text, read_text},
};

/// What a tenant may have where the file does not say.
const JOBS_MAX: u64 = 10_000_000;

/// A title in both languages of the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Title {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

impl Title {
    /// A missing language takes the other, and both the name.
    pub(super) fn of(file: &TitleFile, name: &str) -> Title {
        let first = |one: &Option<String>, other: &Option<String>| {
            one.as_ref().or(other.as_ref()).map_or_else(|| name.to_owned(), Clone::clone)
        };
        Title { en: first(&file.en, &file.zh), zh: first(&file.zh, &file.en) }
    }
}

/// What reports know besides what the twin tells, in the order of centres and families.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The centres.
    pub sites: Vec<SiteFacts>,
    /// Both directions of the links, by the places of their ends.
    pub links: std::collections::BTreeMap<(usize, usize), LinkFacts>,
    /// The families; those of traces stand at the end.
    pub families: Vec<FamilyFacts>,
    /// Milliseconds that local hours begin after those of UTC.
    pub zone_ms: i64,
}

/// A scenario that was checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: Title,
    /// What the twin runs.
    pub setup: Setup,
    /// What comes.
    pub families: Vec<Family>,
    /// What comes besides, from files.
    pub trace: Vec<Arrival>,
    /// For reports.
    pub facts: Facts,
    own: std::collections::BTreeMap<String, huisuan_schedule::Policy>,
}

/// Reads a scenario and the traces that it names.
///
/// # Errors
/// When a file cannot be read or does not hold what it must; the first such place is named. Nothing has run then.
pub fn read_scenario(path: &Path) -> Result<Scenario, ReadError> {
    Scenario::parse(&read_text(path)?, path.parent().unwrap_or(Path::new("")))
}

impl Scenario {
    /// Reads a scenario from a text; traces are looked for in `folder`.
    ///
    /// # Errors
    /// Those of [`read_scenario`].
    pub fn parse(text: &Text, folder: &Path) -> Result<Scenario, ReadError> {
        Scenario::parse_with(text, &|name| read_text(&folder.join(name)))
    }

    /// Reads a scenario from a text; `traces` gives those that it names.
    ///
    /// # Errors
    /// Those of [`read_scenario`].
    pub fn parse_with(text: &Text, traces: &dyn Fn(&str) -> Result<Text, ReadError>) -> Result<Scenario, ReadError> {
        let check = Check { text };
        let file: File = toml::from_str(&text.text).map_err(|error| syntax::refused(check, &error))?;
        let (start, zone_ms) = moment(check, &file.start)?;
        let hours = check.number("hours", &file.hours, 0.001..=87_840.0)?;
        let end = TimeMs(start.0 + in_units(hours, 3_600_000.0) as i64);
        let tenants = tenants(check, &file)?;
        let (mut sites, site_facts) = sites(check, &file)?;
        let (routes, links) = network::routes(check, &sites, &file.link)?;
        declared::declare(check, &mut sites, &site_facts, &file, zone_ms)?;
        let names: Vec<TenantId> = tenants.iter().map(|(tenant, _)| tenant.id.clone()).collect();
        let faults = faults::faults(check, &file, &sites, &site_facts, start)?;
        let world = jobs::World { sites: &sites, routes: &routes, tenants: &names, families: &file.family, zone_ms };
        let reservations = reservations::asked(check, &file, &sites, &names, start)?;
        let mut made = file.family.iter().map(|family| world.family(check, family)).collect::<Result<Vec<_>, _>>()?;
        for (made, family) in made.iter_mut().zip(&file.family) {
            if let Some(id) = reservations::of_family(check, &file, family)? {
                made.family.specs.iter_mut().for_each(|(spec, _)| Arc::make_mut(spec).reservation = Some(id));
            }
        }
        acyclic(check, &file, &made)?;
        let (mut families, mut family_facts) = (Vec::new(), Vec::new());
        for Made { family, facts } in made {
            families.push(family);
            family_facts.push(facts);
        }
        let mut jobs = Vec::new();
        for found in &file.trace {
            let frame = trace::Frame {
                start,
                shift_s: found.shift_s,
                seed: file.seed,
                family: family_facts.len(),
                name: found.name.get_ref(),
                tenants: &names,
                sites: &sites,
            };
            let read = traces(found.file.get_ref()).and_then(|text| trace::parse(&text, &frame));
            jobs.append(&mut read.map_err(|error| match error {
                ReadError::Unreadable { error, .. } => {
                    let expected = format!("a file beside this one that can be read ({error})");
                    check.refuse("file", &found.file, found.file.get_ref(), &expected)
                }
                within => within,
            })?);
            family_facts.push(of_trace(found.name.get_ref(), sites.len()));
        }
        let setup = Setup {
            start,
            end,
            seed: file.seed,
            tenants,
            sites,
            planning: planning(check, &file)?,
            faults,
            reservations,
            rating_noise_ppm: in_units(
                check.number_or("rating_noise_percent", file.rating_noise_percent.as_ref(), 0.0, 0.0..=90.0)?,
                10_000.0,
            ),
            sample_every_ms: in_units(check.number("sample_minutes", &file.sample_minutes, 0.01..=1e6)?, 60_000.0),
        };
        reservations::possible(check, &file, &setup)?;
        runnable(check, &file, &setup, &families)?;
        let name = file.name.get_ref().clone();
        let facts = Facts { sites: site_facts, links, families: family_facts, zone_ms };
        let title = Title::of(&file.title, &name);
        Ok(Scenario { name, title, setup, families, trace: jobs, facts, own: file.policy })
    }

    /// The same under another policy for networks.
    ///
    /// # Errors
    /// When there is none of this name, or it decides something else.
    pub fn with_policy(mut self, name: &str) -> Result<Scenario, PolicyError> {
        self.setup.planning.policy = policies::network(name, &self.own)?;
        Ok(self)
    }

    /// The same under another seed.
    pub fn with_seed(mut self, seed: u64) -> Scenario {
        self.setup.seed = seed;
        self.setup.planning.seed = Seed(seed);
        self
    }

    /// The policy of one queue that a name means here: none that is for networks, or its own.
    pub fn queue_policy(&self, name: &str) -> Option<QueuePolicy> {
        policies::network(name, &self.own).is_err().then(|| policies::queue(name).ok()).flatten()
    }

    /// All policies for networks by name that it may run under, its own first.
    pub fn policies(&self) -> Vec<String> {
        let mut names: Vec<String> = self.own.keys().cloned().collect();
        names.extend(policies::names(Decides::Network).map(str::to_owned));
        names.dedup();
        names
    }

    /// A world that is about to begin.
    pub fn world<O: huisuan_twin::Observer>(&self, observer: O) -> World<O> {
        let Setup { start, end, seed, .. } = self.setup;
        let workload = Workload::new(self.families.clone(), self.trace.clone(), start, end, seed);
        World::new(self.setup.clone(), workload, observer)
    }
}

fn tenants(check: Check<'_>, file: &File) -> Result<Vec<(Tenant, Money)>, ReadError> {
    let mut tenants: Vec<(Tenant, Money)> = Vec::new();
    for found in &file.tenant {
        let id: TenantId = check.name("id", &found.id)?;
        let twice = tenants.iter().any(|(tenant, _)| tenant.id == id);
        check.holds(!twice, "id", &found.id, &id, "a tenant that is listed once")?;
        let funds = check.number("funds_cny", &found.funds_cny, 0.0..=5e11)?;
        let jobs_max = found.jobs_max.as_ref().map(|most| check.whole("jobs_max", most, 1..=u64::MAX)).transpose()?;
        tenants.push((Tenant::new(id, jobs_max.unwrap_or(JOBS_MAX)), Money(in_units(funds, 1e6) as i64)));
    }
    // The books hold all money of a currency together in 64 bits.
    let all: i128 = tenants.iter().map(|(_, funds)| i128::from(funds.0)).sum();
    check.holds(all <= i128::from(i64::MAX), "funds_cny", &file.name, all, "at most 9e12 yuan in all")?;
    Ok(tenants)
}

fn sites(check: Check<'_>, file: &File) -> Result<(Vec<Site>, Vec<SiteFacts>), ReadError> {
    check.holds(!file.centre.is_empty(), "centre", &file.name, "none", "at least one centre")?;
    check.holds(file.centre.len() <= 10_000, "centre", &file.name, file.centre.len(), "at most 10000 centres")?;
    let (mut sites, mut facts): (Vec<Site>, Vec<SiteFacts>) = (Vec::new(), Vec::new());
    for found in &file.centre {
        let (site, known) = network::site(check, found, file.seed)?;
        let twice = sites.iter().any(|other| other.centre.id == site.centre.id);
        check.holds(!twice, "id", &found.id, found.id.get_ref(), "a centre that is listed once")?;
        sites.push(site);
        facts.push(known);
    }
    Ok((sites, facts))
}

fn planning(check: Check<'_>, file: &File) -> Result<Planning, ReadError> {
    let asked = &file.planning;
    let policy = match &asked.policy {
        None => Policy::default(),
        Some(name) => policies::network(name.get_ref(), &file.policy).map_err(|_| {
            let names = policies::names(Decides::Network).collect::<Vec<_>>().join(", ");
            check.refuse("policy", name, name.get_ref(), &format!("one of {names}, or a [policy.NAME] of this file"))
        })?,
    };
    let default = Budget::default();
    Ok(Planning {
        policy,
        budget: Budget {
            placements_max: asked.placements_max.unwrap_or(default.placements_max),
            jobs_max: asked.jobs_max.unwrap_or(default.jobs_max),
            improvement_steps_max: asked.improvement_steps_max.unwrap_or(default.improvement_steps_max),
            ..default
        },
        seed: Seed(file.seed),
        every_ms: asked.every_ms.as_ref().map_or(Ok(1_000), |every| check.whole("every_ms", every, 1..=86_400_000))?,
    })
}

/// Refuses a family whose work no pool could run even if nothing else did.
fn runnable(check: Check<'_>, file: &File, setup: &Setup, families: &[Family]) -> Result<(), ReadError> {
    match World::refused_family(setup, families, ()) {
        None => Ok(()),
        Some((number, refusal)) => {
            let name = &file.family[number].name;
            Err(check.refuse("family", name, name.get_ref(), &format!("work that some pool could run ({refusal})")))
        }
    }
}

/// Refuses families that wait for each other in a circle.
fn acyclic(check: Check<'_>, file: &File, made: &[Made]) -> Result<(), ReadError> {
    for (index, found) in file.family.iter().enumerate() {
        let twice = file.family[..index].iter().any(|other| other.name.get_ref() == found.name.get_ref());
        check.holds(!twice, "name", &found.name, found.name.get_ref(), "a family that is listed once")?;
        let mut steps = 0;
        let mut at = index;
        while let Some(leader) = made[at].family.after {
            steps += 1;
            at = leader;
            if let Some(after) = &found.after {
                let expected = "families that do not wait for each other in a circle";
                check.holds(steps <= made.len(), "after", after, after.get_ref(), expected)?;
            }
        }
    }
    Ok(())
}

fn of_trace(name: &str, sites: usize) -> FamilyFacts {
    FamilyFacts {
        name: name.to_owned(),
        title: Title { en: name.to_owned(), zh: name.to_owned() },
        round_trip_ms: vec![None; sites],
        round_trip_ms_max: None,
        users_at: None,
        data_bytes: 0,
        data_at: None,
    }
}

/// A moment and the offset of its local time from UTC, both in milliseconds.
fn moment(check: Check<'_>, value: &Spanned<Datetime>) -> Result<(TimeMs, i64), ReadError> {
    let expected = "a day and time with an offset, such as 2025-07-01T00:00:00+08:00";
    let refused = || check.refuse("start", value, value.get_ref(), expected);
    let Datetime { date: Some(date), time: Some(time), offset: Some(offset) } = *value.get_ref() else {
        return Err(refused());
    };
    let zone_ms = match offset {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes) * 60_000,
    };
    let seconds = days(i64::from(date.year), i64::from(date.month), i64::from(date.day)) * 86_400
        + i64::from(time.hour) * 3_600
        + i64::from(time.minute) * 60
        + i64::from(time.second.unwrap_or(0));
    let ms = i64::from(time.nanosecond.unwrap_or(0) / 1_000_000);
    Ok((TimeMs(seconds * 1_000 + ms - zone_ms), zone_ms))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar: years are counted from March, so that a leap day is the
/// last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
