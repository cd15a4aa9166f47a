//! Jobs as prepared for GAIA (Hanafy et al., "Going Green for Less Green", ASPLOS 2024): a year of Alibaba PAI tasks,
//! Azure virtual machines or Mustang jobs, 100,000 of each.

use super::{
    ReadError, Text,
    table::{Layout, Table, scaled_up},
};

/// One job. There is no user, no estimate and no device in this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaiaJob {
    /// When it arrives, from the start of the trace.
    pub submit_at_ms: u64,
    /// How long it runs.
    pub run_ms: u64,
    /// How many whole cores it holds.
    pub cores: u32,
}

/// Milliseconds of an hour, the unit of both times.
const HOUR_MS: f64 = 3_600_000.0;

/// Reads `arrival_time,length,cpus` with hours. Every line becomes a job, none is dropped; they are put in order of
/// arrival, equal times in file order.
pub fn read_gaia(text: &Text) -> Result<Vec<GaiaJob>, ReadError> {
    let mut table = Table::open(text, Layout::csv(&["arrival_time", "length", "cpus"]))?;
    let mut jobs = Vec::new();
    while let Some(row) = table.row()? {
        jobs.push(GaiaJob {
            submit_at_ms: row.read(0, "a number of hours", |found| scaled_up(found, HOUR_MS))?,
            run_ms: row.read(1, "a number of hours", |found| scaled_up(found, HOUR_MS))?,
            cores: row.parse(2, "a whole number of cores")?,
        });
    }
    jobs.sort_by_key(|job| job.submit_at_ms);
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_become_milliseconds() {
        let text = "arrival_time,length,cpus\n10.5,0.25,2\n0.0,19.083333333333332,4\n";
        let jobs = read_gaia(&Text::new("gaia.csv", text)).expect("well formed");
        let job = |submit_at_ms, run_ms, cores| GaiaJob { submit_at_ms, run_ms, cores };
        assert_eq!(jobs, [job(0, 68_700_000, 4), job(37_800_000, 900_000, 2)]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        fn check(line: &str, expected: &str) {
            let text = format!("arrival_time,length,cpus\n0,1,1\n{line}\n");
            let error = read_gaia(&Text::new("gaia.csv", text)).expect_err("malformed").to_string();
            assert!(error.contains("line 3") && error.contains(expected), "{error}");
        }
        check("-1,1,1", "field `arrival_time`: `-1` where a number of hours");
        check("1,nan,1", "field `length`: `nan`");
        check("1,1,1.5", "field `cpus`: `1.5` where a whole number of cores");
        check("1,1,1,1", "4 values where the header names 3");
    }
}
