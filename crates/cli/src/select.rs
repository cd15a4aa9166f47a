//! How jobs and tasks are named on the command line: `12`, `12.3`, `last`.

use std::{fmt, str::FromStr};

use huisuan_model::JobId;

/// A job, or one task of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selector {
    /// Which job.
    pub(crate) job: Which,
    /// Which of its tasks, when one is named.
    pub(crate) task: Option<u32>,
}

/// Which job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its number.
    Number(JobId),
    /// The one submitted last.
    Last,
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || "a job is a number such as 12, a task such as 12.3, or `last`".to_owned();
        let (job, task) = match text.split_once('.') {
            Some((job, task)) => (job, Some(digits(task).ok_or_else(error)?)),
            None => (text, None),
        };
        let job = match job {
            "last" => Which::Last,
            number => {
                let number = digits(number).filter(|&number: &u64| number > 0).ok_or_else(error)?;
                Which::Number(JobId(number))
            }
        };
        Ok(Selector { job, task })
    }
}

/// A number of decimal digits only: `parse` alone would also take a sign.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.job {
            Which::Number(job) => job.fmt(f)?,
            Which::Last => f.write_str("last")?,
        }
        self.task.map_or(Ok(()), |task| write!(f, ".{task}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_jobs_tasks_and_last() {
        for text in ["12", "12.3", "last", "last.0", "18446744073709551615"] {
            assert_eq!(text.parse::<Selector>().map(|selector| selector.to_string()), Ok(text.to_owned()));
        }
        for bad in ["", "0", "-1", "+1", "1.", ".1", "1.2.3", "first", "1 ", "18446744073709551616", "1.4294967296"] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
    }
}
