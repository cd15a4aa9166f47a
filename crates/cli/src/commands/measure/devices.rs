//! The accelerators of this machine: what their makers' tools name, and what was measured of each or why it was not.

use huisuan_measure::{
    Device, DeviceMeasurement, DeviceOutcome, DeviceRate, DeviceSpec, Registry, Unmeasured, Unread, measure_devices,
};
use serde::Serialize;

/// An accelerator, and what its maker declares or a measurement found.
#[derive(Debug, Serialize)]
pub(super) struct Accelerator {
    #[serde(flatten)]
    device: Device,
    /// The part that it is, when its name and memory leave only one.
    part: Option<String>,
    /// The parts that it may be.
    candidates: Vec<String>,
    /// `measured`, or `declared`.
    mark: &'static str,
    /// Whether it was measured and every rate is one that the part can have.
    certified: bool,
    /// Why it was not measured, or is not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// All that was measured, with all raw timings.
    #[serde(skip_serializing_if = "Option::is_none")]
    measurement: Option<DeviceMeasurement>,
}

/// Finds the accelerators of this machine and measures those that a runtime reaches.
pub(super) fn find() -> (Vec<Accelerator>, Vec<Unread>) {
    let registry = Registry::built_in();
    let found = huisuan_measure::devices();
    let outcomes = measure_devices(&DeviceSpec::default(), &registry);
    (paired(found.devices, outcomes, &registry), found.unread)
}

/// Sets each outcome beside the device that it is of: by identity, or by name where a tool tells none. A device that
/// the runtime alone knows stands for itself.
fn paired(
    named: Vec<Device>,
    outcomes: Result<Vec<DeviceOutcome>, Unmeasured>,
    registry: &Registry,
) -> Vec<Accelerator> {
    let (mut outcomes, none) = match outcomes {
        Ok(outcomes) => (outcomes, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let mut accelerators: Vec<Accelerator> = Vec::new();
    for device in named {
        let same = |of: &DeviceOutcome| match (&of.device.uuid, &device.uuid) {
            (Some(theirs), Some(ours)) => theirs == ours,
            _ => of.device.name == device.name,
        };
        let outcome = outcomes.iter().position(same).map(|at| outcomes.remove(at).outcome);
        let other = "no runtime reaches it";
        let outcome = outcome.map(|outcome| outcome.map_err(|why| why.to_string()));
        let outcome =
            outcome.unwrap_or_else(|| Err(none.as_ref().map_or_else(|| other.to_owned(), ToString::to_string)));
        accelerators.push(Accelerator::new(device, outcome, registry));
    }
    for DeviceOutcome { device, outcome } in outcomes {
        accelerators.push(Accelerator::new(device, outcome.map_err(|why| why.to_string()), registry));
    }
    accelerators
}

impl Accelerator {
    fn new(device: Device, outcome: Result<DeviceMeasurement, String>, registry: &Registry) -> Self {
        let (measurement, why) = match outcome {
            Ok(measurement) => {
                let above = measurement.rates.iter().find(|rate| rate.plausible() == Some(false)).map(too_fast);
                (Some(measurement), above)
            }
            Err(why) => (None, Some(why)),
        };
        Accelerator {
            part: device.part(registry).map(|part| part.id.clone()),
            candidates: registry.find(&device.name).iter().map(|part| part.id.clone()).collect(),
            device,
            mark: if measurement.is_some() { "measured" } else { "declared" },
            certified: measurement.is_some() && why.is_none(),
            why,
            measurement,
        }
    }

    /// What its rates are listed under: its part, or the name that it has where that is not known.
    pub(super) fn pool(&self) -> &str {
        self.part.as_deref().unwrap_or(&self.device.name)
    }

    pub(super) fn index(&self) -> u32 {
        self.device.index
    }

    pub(super) fn measurement(&self) -> Option<&DeviceMeasurement> {
        self.measurement.as_ref()
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let part = self.part.clone().unwrap_or_else(|| match &self.candidates[..] {
            [] => "an unknown part".to_owned(),
            candidates => format!("one of {}; which one?", candidates.join(", ")),
        });
        let certified = if self.certified { "" } else { ", not certified" };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let Device { index, name, told_by, .. } = &self.device;
        format!("device {index} {name} ({told_by}): {part}; {}{certified}{why}", self.mark)
    }
}

fn too_fast(rate: &DeviceRate) -> String {
    let DeviceRate { precision, sustained_gflops, nameplate_gflops, .. } = rate;
    let nameplate = nameplate_gflops.unwrap_or(0);
    format!(
        "{precision} rate of {sustained_gflops} GFLOP/s is more than 2 % above the {nameplate} that its maker declares; \
         hint: the part is another one (`measure parts`), or the runtime is no real one"
    )
}

#[cfg(test)]
mod tests {
    use huisuan_model::Precision;

    use super::*;

    fn device(told_by: &'static str, index: u32, uuid: Option<&str>) -> Device {
        let (name, uuid) = ("NVIDIA H200".to_owned(), uuid.map(str::to_owned));
        Device { told_by, index, name, memory_mib: Some(143_771), watts: None, uuid }
    }

    fn measurement(device: &Device, sustained_gflops: u64) -> DeviceMeasurement {
        let rate = DeviceRate {
            precision: Precision::Bf16,
            sustained_gflops,
            nameplate_gflops: Some(989_400),
            order: 8_192,
            flop_per_run: sustained_gflops,
            runs_ns: vec![1],
            median_ns: 1,
            entries_checked: 64,
            error_max: 0.0,
            watts: Some(690),
        };
        DeviceMeasurement {
            method: huisuan_measure::DEVICE_METHOD,
            version: huisuan_measure::DEVICE_METHOD_VERSION,
            device: device.clone(),
            part: Some("H200-SXM5-141G".into()),
            driver: 13_000,
            library: 130_100,
            rates: vec![rate],
            left_out: Vec::new(),
            copy: None,
        }
    }

    fn outcome(index: u32, uuid: &str, sustained_gflops: u64) -> DeviceOutcome {
        let device = device("cuda", index, Some(uuid));
        let outcome = Ok(measurement(&device, sustained_gflops));
        DeviceOutcome { device, outcome }
    }

    /// For each device: told by, index, mark, whether certified, and the rate.
    fn check(
        named: Vec<Device>,
        outcomes: Result<Vec<DeviceOutcome>, Unmeasured>,
        wanted: &[(&str, u32, &str, bool, Option<u64>)],
    ) -> Vec<Accelerator> {
        let accelerators = paired(named, outcomes, &Registry::built_in());
        let rate = |of: &Accelerator| of.measurement().map(|of| of.rates[0].sustained_gflops);
        let got: Vec<_> =
            accelerators.iter().map(|of| (of.device.told_by, of.index(), of.mark, of.certified, rate(of))).collect();
        assert_eq!(got, wanted);
        accelerators
    }

    #[test]
    fn outcomes_stand_beside_their_devices() {
        // The runtime counts the other way round.
        let named = || vec![device("nvml", 0, Some("a")), device("nvml", 1, Some("b"))];
        let outcomes = vec![outcome(0, "b", 700_000), outcome(1, "a", 600_000)];
        let wanted = [("nvml", 0, "measured", true, Some(600_000)), ("nvml", 1, "measured", true, Some(700_000))];
        check(named(), Ok(outcomes), &wanted);
        // Without identities by name; what the runtime alone sees stands for itself.
        let wanted = [("nvidia-smi", 0, "measured", true, Some(1)), ("cuda", 1, "measured", true, Some(2))];
        check(vec![device("nvidia-smi", 0, None)], Ok(vec![outcome(0, "a", 1), outcome(1, "b", 2)]), &wanted);
        let out = check(
            named(),
            Ok(vec![outcome(0, "a", 5)]),
            &[("nvml", 0, "measured", true, Some(5)), ("nvml", 1, "declared", false, None)],
        );
        assert!(out[1].line().ends_with("declared, not certified: no runtime reaches it"), "{}", out[1].line());
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let out = check(
            vec![device("nvidia-smi", 0, None)],
            Err(Unmeasured::NotBuilt),
            &[("nvidia-smi", 0, "declared", false, None)],
        );
        assert!(out[0].line().contains("H200-SXM5-141G; declared, not certified: this program was built without"));
        check(Vec::new(), Err(Unmeasured::NotBuilt), &[]);
    }

    #[test]
    fn a_rate_above_the_nameplate_is_not_certified() {
        let wanted = [("cuda", 0, "measured", false, Some(1_009_189))];
        let out = check(Vec::new(), Ok(vec![outcome(0, "a", 1_009_189)]), &wanted);
        assert!(out[0].line().contains("more than 2 % above the 989400"), "{}", out[0].line());
        check(Vec::new(), Ok(vec![outcome(0, "a", 1_009_188)]), &[("cuda", 0, "measured", true, Some(1_009_188))]);
    }
}
