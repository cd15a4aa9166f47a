//! How fast training jobs run on each kind of GPU, alone and two on one, as measured for Gavel (Narayanan et al.,
//! "Heterogeneity-Aware Cluster Scheduling Policies for Deep Learning Workloads", OSDI 2020).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ReadError, Text};

/// Rates by kind of device, such as `v100`, in millionths of a step per second.
pub type Rates = BTreeMap<String, BTreeMap<JobType, JobRates>>;

/// What is trained, and on how many devices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobType {
    /// The model with its batch size, such as `ResNet-18 (batch size 16)`.
    pub name: String,
    /// How many devices work together.
    pub workers: u32,
}

/// How fast a type of job runs on one kind of device. Zero where it does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobRates {
    /// With the devices to itself.
    pub alone: u64,
    /// Beside a job of another type on the same devices: its own rate and the other's.
    pub beside: BTreeMap<JobType, (u64, u64)>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a rate, or a list of two rates")]
enum Entry {
    Alone(f64),
    Beside([f64; 2]),
}

/// The form of the file.
type Raw = BTreeMap<String, BTreeMap<String, BTreeMap<String, Entry>>>;

/// Reads `simulation_throughputs.json` or its like. Every entry is taken.
pub fn read_gavel(text: &Text) -> Result<Rates, ReadError> {
    let raw: Raw = serde_json::from_str(&text.text).map_err(|error| {
        text.form(error.line() as u64, format!("not a table of rates: {error}"), "see docs/traces.md for the format")
    })?;
    let mut rates = Rates::new();
    for (device, jobs) in raw {
        let of_device = rates.entry(device).or_default();
        for (key, entries) in jobs {
            of_device.insert(job_type(text, &key)?, job_rates(text, entries)?);
        }
    }
    Ok(rates)
}

fn job_rates(text: &Text, entries: BTreeMap<String, Entry>) -> Result<JobRates, ReadError> {
    let mut rates = JobRates::default();
    for (key, entry) in entries {
        match (&*key, entry) {
            ("null", Entry::Alone(rate)) => rates.alone = millionths(text, &key, rate)?,
            ("null", Entry::Beside(_)) => return Err(misfit(text, &key, "one rate")),
            (_, Entry::Alone(_)) => return Err(misfit(text, &key, "a list of two rates")),
            (_, Entry::Beside([own, other])) => {
                let pair = (millionths(text, &key, own)?, millionths(text, &key, other)?);
                rates.beside.insert(job_type(text, &key)?, pair);
            }
        }
    }
    Ok(rates)
}

/// A rate of up to a million steps per second.
fn millionths(text: &Text, key: &str, rate: f64) -> Result<u64, ReadError> {
    if (0.0..=1e6).contains(&rate) {
        return Ok((rate * 1e6).round() as u64);
    }
    Err(text.field(line_of(text, key), key, &rate.to_string(), "steps per second from 0 to 1000000"))
}

/// A key as Python prints a pair: `('ResNet-18 (batch size 16)', 1)`.
fn job_type(text: &Text, key: &str) -> Result<JobType, ReadError> {
    let inner = key.strip_prefix("('").and_then(|rest| rest.strip_suffix(')'));
    let found = inner.and_then(|inner| inner.rsplit_once("', ")).and_then(|(name, workers)| {
        let workers = workers.parse().ok().filter(|&workers| workers > 0)?;
        Some(JobType { name: name.to_owned(), workers })
    });
    found.ok_or_else(|| misfit(text, key, "a type of job such as ('ResNet-18 (batch size 16)', 1)"))
}

fn misfit(text: &Text, key: &str, expected: &str) -> ReadError {
    text.field(line_of(text, key), "key", key, expected)
}

/// The first line that has the key; values of JSON do not know where they stood.
fn line_of(text: &Text, key: &str) -> u64 {
    let before = text.text.find(key).map_or("", |at| &text.text[..at]);
    before.bytes().filter(|&byte| byte == b'\n').count() as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rates, String> {
        read_gavel(&Text::new("rates.json", text)).map_err(|error| error.to_string())
    }

    #[test]
    fn rates_are_read() {
        let rates = read(r#"{"k80": {"('A (batch size 1)', 2)": {"null": 4.5, "('B', 2)": [2.25, 0]}}}"#);
        let rates = rates.expect("well formed");
        let job = |name: &str| JobType { name: name.into(), workers: 2 };
        let found = &rates["k80"][&job("A (batch size 1)")];
        assert_eq!((found.alone, found.beside[&job("B")]), (4_500_000, (2_250_000, 0)));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        fn check(text: &str, expected: &str) {
            let error = read(text).expect_err("malformed");
            assert!(error.contains(expected), "{error}");
        }
        check("", "line 1: not a table of rates");
        check("{\"k80\": {\n\"A\": {}}}", "line 2, field `key`: `A` where a type of job");
        check("{\"k80\": {\n\"('A', 0)\": {}}}", "line 2, field `key`: `('A', 0)`");
        check("{\"k80\": {\"('A', 1)\": {\n\"null\": -1}}}", "line 2, field `null`: `-1` where steps per second");
        check("{\"k80\": {\"('A', 1)\": {\n\"null\": [1, 2]}}}", "line 2, field `key`: `null` where one rate");
        check("{\"k80\": {\"('A', 1)\": {\"('B', 1)\": 1}}}", "`('B', 1)` where a list of two rates");
        check("{\"k80\": {\"('A', 1)\": {\n\"null\": \"x\"}}}", "a rate, or a list of two rates at line 2");
    }
}
