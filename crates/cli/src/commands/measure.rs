//! `measure`: rates this machine in every class.

mod devices;

use devices::Accelerator;
use huisuan_measure::{Bandwidth, Basis, DeviceMeasurement, DeviceRate, MeasureSpec, Measurement, Unread};
use huisuan_model::Precision;
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
    /// Accelerators: the rates of those that could be measured are among `ratings`, too.
    devices: Vec<Accelerator>,
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
    /// Empty for accelerators, which have none.
    runs_cpu_ns: Vec<u64>,
    /// Which of the two makes the rate: `cpu` or `wall`.
    basis: Basis,
    /// Where `sustained_gflops` comes from.
    mark: &'static str,
    /// The number of the accelerator among `devices`; absent for processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<u32>,
    /// Mean power while it was measured, by its own counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    watts: Option<u32>,
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
    for accelerator in &ratings.devices {
        session.output.remark(&accelerator.line());
    }
    for Unread { told_by, said } in &ratings.unread {
        let hint = "hint: name the part yourself (`measure parts`), and report what it prints";
        session.output.remark(&format!("`{told_by}` says what is not understood here: `{said}`; {hint}"));
    }
    session.output.list(&ratings, &ratings.ratings, "nothing measured", || listing(&ratings.ratings))
}

impl From<Measurement> for Ratings {
    fn from(measurement: Measurement) -> Self {
        let mut ratings: Vec<Rating> = measurement
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
                device: None,
                watts: None,
            })
            .collect();
        let (devices, unread) = devices::find();
        for accelerator in &devices {
            let rates =
                accelerator.measurement().into_iter().flat_map(|of| of.rates.iter().map(move |rate| (of, rate)));
            ratings.extend(rates.map(|(of, rate)| Rating::of_device(accelerator, of, rate)));
        }
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

impl Rating {
    fn of_device(accelerator: &Accelerator, of: &DeviceMeasurement, rate: &DeviceRate) -> Self {
        let class = rate.precision.class();
        Rating {
            pool: accelerator.pool().to_owned(),
            class: class.to_string(),
            precision: rate.precision.name(),
            nameplate_gflops: rate.nameplate_gflops,
            sustained_gflops: rate.sustained_gflops,
            method: of.method.to_owned(),
            version: of.version,
            unit: Precision::of_class(class) == rate.precision,
            emulated: false,
            plausible: rate.plausible(),
            runs_ns: rate.runs_ns.clone(),
            runs_cpu_ns: Vec::new(),
            basis: Basis::Wall,
            mark: "measured",
            device: Some(accelerator.index()),
            watts: rate.watts,
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
