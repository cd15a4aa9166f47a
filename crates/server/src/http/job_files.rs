//! Job files that came lately: who submits one over and over, as loops and workflows do, has it read and checked once.
//! Its jobs then share one spec in memory, too, and the core knows it again by where it lies.

use std::sync::{Arc, Mutex, PoisonError};

use huisuan_api::{ErrorCode, spec::read_job_file};
use huisuan_model::JobSpec;

use super::Failure;

/// The most files that are remembered; they are looked through one by one.
const FILES_MAX: usize = 64;
/// The longest file that is remembered, in bytes.
const FILE_BYTES_MAX: usize = 16 * 1024;

/// What was read lately. A file means the same whoever sends it.
#[derive(Debug, Default)]
pub(crate) struct JobFiles {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    files: Vec<(Box<str>, Arc<JobSpec>)>,
    /// Where the next one is put when all places are taken.
    oldest: usize,
}

impl JobFiles {
    /// The spec that the body of a submission is.
    pub(crate) fn read(&self, body: &[u8]) -> Result<Arc<JobSpec>, Failure> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Failure::new(ErrorCode::BadRequest, format!("the body is not UTF-8: {error}")))?;
        if let Some(spec) = self.find(text) {
            return Ok(spec);
        }
        let spec = Arc::new(read_job_file(text).map_err(|problem| problem.to_problem())?);
        if text.len() <= FILE_BYTES_MAX {
            self.remember(text, &spec);
        }
        Ok(spec)
    }

    fn find(&self, text: &str) -> Option<Arc<JobSpec>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.files.iter().find(|(file, _)| **file == *text).map(|(_, spec)| Arc::clone(spec))
    }

    fn remember(&self, text: &str, spec: &Arc<JobSpec>) {
        let new = (text.into(), Arc::clone(spec));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.files.len() < FILES_MAX {
            return known.files.push(new);
        }
        let at = known.oldest;
        known.files[at] = new;
        known.oldest = (at + 1) % FILES_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: usize) -> String {
        format!("name: job-{number}\ncommand: [/bin/true]\n")
    }

    #[test]
    fn a_file_that_comes_again_is_the_same_spec() {
        let files = JobFiles::default();
        let read = |text: &str| files.read(text.as_bytes()).expect("a job file");
        let first = read(&file(0));
        assert!(Arc::ptr_eq(&first, &read(&file(0))));
        let other = read(&file(1));
        assert_ne!(first, other);
        // It is forgotten when enough others came, and read anew.
        (1..=FILES_MAX).for_each(|number| drop(read(&file(number))));
        let again = read(&file(0));
        assert!(!Arc::ptr_eq(&first, &again) && first == again);
        assert!(files.known.lock().expect("nobody panicked").files.len() <= FILES_MAX);
    }

    #[test]
    fn what_is_refused_or_long_is_not_remembered() {
        let files = JobFiles::default();
        for bad in [&b"command: [/bin/true]\nwalltime: never\n"[..], b"\xff"] {
            for _ in 0..2 {
                files.read(bad).expect_err("refused every time");
            }
        }
        let long = format!("{}environment: {{LONG: {}}}\n", file(0), "x".repeat(FILE_BYTES_MAX));
        files.read(long.as_bytes()).expect("a job file");
        assert!(files.known.lock().expect("nobody panicked").files.is_empty());
    }
}
