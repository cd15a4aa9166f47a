//! `measure`: rates this machine in every class.

use huisuan_measure::{Bandwidth, Basis, Device, MeasureSpec, Measurement, Registry, Unread};
use serde::Serialize;

use crate::{
    args::MeasureArgs,
    failure::{Exit, Failure},
    session::Session,
    table::{Cell, Listing},
    text,
};

/// The answer of `measure -o json`.
#[derive(Debug, Serialize)]
struct Ratings {
    ratings: Vec<Rating>,
    /// Accelerators, apart: what is declared of them is not measured, and not certified.
    devices: Vec<Declared>,
    /// Makers' tools that said what this version does not understand: their devices are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<Unread>,
    /// Memory bandwidth by STREAM's triad.
    memory: Option<Bandwidth>,
    host: huisuan_measure::Host,
    cpus: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct Rating {
    pool: String,
    class: String,
    precision: &'static str,
    /// Computed, not measured; absent when the machine does not tell clock or vector width.
    nameplate_gflops: Option<u64>,
    sustained_gflops: u64,
    method: String,
    version: u32,
    /// Whether the class's unit is this precision; other rates of a class are for information.
    unit: bool,
    /// Whether arithmetic of a wider format did the work.
    emulated: bool,
    /// Whether the rate is at most the nameplate; without a nameplate nobody knows. What is not is refused.
    plausible: Option<bool>,
    /// Every timed run, so that the median can be doubted: wall time and processor time.
    runs_ns: Vec<u64>,
    runs_cpu_ns: Vec<u64>,
    /// Which of the two makes the rate: `cpu` or `wall`.
    basis: Basis,
    /// Where `sustained_gflops` comes from.
    mark: &'static str,
}

/// An accelerator and what its maker declares of it.
#[derive(Debug, Serialize)]
struct Declared {
    #[serde(flatten)]
    device: Device,
    /// The part that it is, when its name and memory leave only one.
    part: Option<String>,
    /// The parts that it may be.
    candidates: Vec<String>,
    mark: &'static str,
    certified: bool,
}

/// The accelerators of this machine, each with its part or with those that it may be.
fn declared() -> (Vec<Declared>, Vec<Unread>) {
    let registry = Registry::built_in();
    let declared = |device: Device| Declared {
        part: device.part(&registry).map(|part| part.id.clone()),
        candidates: registry.find(&device.name).iter().map(|part| part.id.clone()).collect(),
        device,
        mark: "declared",
        certified: false,
    };
    let found = huisuan_measure::devices();
    (found.devices.into_iter().map(declared).collect(), found.unread)
}

/// Measures and reports.
pub(crate) fn measure(session: &Session, args: &MeasureArgs) -> Result<(), Failure> {
    let spec = match &args.cores {
        Some(cores) => MeasureSpec::on_cpus(cores.iter().collect()),
        None => MeasureSpec::default(),
    };
    session.output.remark(&format!("measuring {} ...", text::count(spec.cpus.len() as u64, "core")));
    let measurement = huisuan_measure::measure(&spec).map_err(|error| {
        Failure::new(Exit::Error, error).hint("name processors that this process may use, such as `--cores 0`")
    })?;
    if let Some(memory) = &measurement.bandwidth {
        let caches = if memory.beyond_caches { "" } else { "; caches may have helped, the arrays are small" };
        let speed = text::grouped(memory.mb_per_s);
        session.output.remark(&format!("memory: {speed} MB/s measured (STREAM triad{caches})"));
    }
    let ratings = Ratings::from(measurement);
    for found in &ratings.devices {
        let part = found.part.clone().unwrap_or_else(|| match &found.candidates[..] {
            [] => "an unknown part".to_owned(),
            candidates => format!("one of {}; which one?", candidates.join(", ")),
        });
        let (index, name, told_by) = (found.device.index, &found.device.name, found.device.told_by);
        session.output.remark(&format!("device {index} {name} ({told_by}): {part}; declared, not certified"));
    }
    for Unread { told_by, said } in &ratings.unread {
        let hint = "hint: name the part yourself (`measure parts`), and report what it prints";
        session.output.remark(&format!("`{told_by}` says what is not understood here: `{said}`; {hint}"));
    }
    session.output.list(&ratings, &ratings.ratings, "nothing measured", || listing(&ratings.ratings))
}

impl From<Measurement> for Ratings {
    fn from(measurement: Measurement) -> Self {
        let ratings = measurement
            .rates
            .iter()
            .map(|rate| Rating {
                pool: measurement.part.clone(),
                class: rate.class.clone(),
                precision: rate.precision.name(),
                nameplate_gflops: rate.nameplate_gflops,
                sustained_gflops: rate.sustained_gflops,
                method: measurement.method.clone(),
                version: measurement.version,
                unit: rate.unit,
                emulated: rate.emulated,
                plausible: rate.nameplate_gflops.map(|_| true),
                runs_ns: rate.runs_ns.clone(),
                runs_cpu_ns: rate.runs_cpu_ns.clone(),
                basis: rate.basis,
                mark: "measured",
            })
            .collect();
        let (devices, unread) = declared();
        Ratings {
            ratings,
            devices,
            unread,
            memory: measurement.bandwidth,
            host: measurement.host,
            cpus: measurement.cpus,
        }
    }
}

fn listing(ratings: &[Rating]) -> Listing {
    let columns = ["pool", "class", "precision", "sustained_gflop_per_s", "nameplate_gflop_per_s", "method"];
    let mut listing = Listing::with_details(&columns, &["version", "mark"]);
    for rating in ratings {
        let nameplate =
            rating.nameplate_gflops.map_or_else(Cell::none, |gflops| Cell::figure(text::rate(gflops), gflops));
        listing.row(vec![
            Cell::text(&rating.pool),
            Cell::text(&rating.class),
            Cell::text(rating.precision),
            Cell::figure(text::rate(rating.sustained_gflops), rating.sustained_gflops),
            nameplate,
            Cell::text(&rating.method),
            Cell::text(rating.version),
            Cell::text(rating.mark),
        ]);
    }
    listing
}
