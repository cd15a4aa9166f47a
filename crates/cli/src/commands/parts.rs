//! `measure parts`: what makers declare, and what a marketing name may mean.

use std::{fs, path::Path};

use huisuan_measure::{Confidence, Part, Registry};
use huisuan_model::{Class, GflopPerS, PoolId};
use huisuan_server::PartCeiling;
use serde::Serialize;

use crate::{
    args::PartsArgs,
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
    text,
};

/// The answer of `measure parts -o json`.
#[derive(Debug, Serialize)]
struct Parts<'a> {
    parts: Vec<&'a Part>,
}

/// Lists parts, or the ones that a name may mean.
pub(crate) fn parts(session: &Session, args: &PartsArgs) -> Result<(), Failure> {
    let registry = registry(args.parts.as_deref())?;
    let found = match &args.name {
        None => registry.iter().collect(),
        Some(name) => registry.find(name),
    };
    if let (Some(name), []) = (&args.name, &found[..]) {
        return Err(Failure::new(Exit::NotFound, format!("no part is known by the name `{name}`"))
            .hint("list all with `huisuan measure parts`, or add it in a file with --parts FILE"));
    }
    if let (Some(name), [_, _, ..]) = (&args.name, &found[..]) {
        session.output.remark(&format!(
            "`{name}` may mean {}; which one? Add the form, the memory or the full name.",
            text::count(found.len() as u64, "part")
        ));
    }
    let parts = Parts { parts: found };
    session.output.list(&parts, &parts.parts, "no parts", || listing(&parts.parts))
}

/// The built-in parts and those of a file.
pub(crate) fn registry(file: Option<&Path>) -> Result<Registry, Failure> {
    let mut registry = Registry::built_in();
    if let Some(path) = file {
        let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
        registry.extend(&path.display().to_string(), &text).map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    Ok(registry)
}

/// What no rating of these parts may pass, as far as the declared figures can be trusted.
pub(crate) fn ceilings(registry: &Registry) -> Vec<PartCeiling> {
    let mut ceilings = Vec::new();
    for part in registry.iter() {
        let Ok(pool) = PoolId::new(&part.id) else { continue };
        for class in Class::ALL {
            let figure = part.peak_of_class(class).filter(|figure| figure.confidence > Confidence::Uncertain);
            ceilings.extend(figure.map(|figure| PartCeiling {
                pool: pool.clone(),
                class,
                ceiling: GflopPerS(figure.ceiling_gflops),
                thousandths: u64::from(part.cores.unwrap_or(1)) * 1_000,
                source: figure.source.clone(),
            }));
        }
    }
    ceilings
}

fn listing(parts: &[&Part]) -> Listing {
    let columns = [
        "part",
        "vendor",
        "memory_gib",
        "watts",
        "ai_gflop_per_s",
        "hpc_gflop_per_s",
        "general_gflop_per_s",
        "confidence",
    ];
    let mut listing = Listing::with_details(&columns, &["part_number", "variant", "bandwidth_gb_per_s", "source"]);
    for part in parts {
        let number = |value: Option<u32>| value.map_or_else(Cell::none, |value| Cell::figure(value, value));
        let peak = |class| {
            let figure = part.peak_of_class(class);
            figure.map_or_else(Cell::none, |figure| Cell::figure(text::rate(figure.gflops), figure.gflops))
        };
        // The least certain figure speaks for the line.
        let least = part.peak.values().min_by_key(|figure| figure.confidence);
        let mark = least.map_or(String::new(), |figure| format!("{:?}", figure.confidence).to_lowercase());
        listing.row(vec![
            Cell::text(&part.id),
            Cell::text(&part.vendor),
            number(part.memory_gib),
            number(part.watts),
            peak(Class::Ai),
            peak(Class::Hpc),
            peak(Class::General),
            Cell::text(mark),
            Cell::text(&part.part_number),
            Cell::text(&part.variant),
            number(part.bandwidth_gb_per_s),
            Cell::text(least.map_or("", |figure| figure.source.as_str())),
        ]);
    }
    listing
}
