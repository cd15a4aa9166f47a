//! The questions to Slurm about jobs. Names of jobs and of steps are anybody's to give and may hold anything, line breaks
//! too: a random word of each call tells what Slurm says from what a name says.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    answers::{ACCOUNT_FORMAT, AccountedJob, QUEUE_FORMAT, QueuedJob, read_accounts, read_queue},
    files::random_word,
    job::{Number, SlurmJob},
    shared::Shared,
};
use crate::engine::EngineError;

/// Asks for all jobs of the users that run attempts, or for one: that is no question in bulk as long as nothing else
/// is asked for.
pub(super) fn queue(shared: &Shared, job: Option<SlurmJob>) -> Result<BTreeMap<Number, QueuedJob>, EngineError> {
    let user = || format!("--user={}", shared.users.asked());
    let which = job.map_or_else(user, |job| format!("--jobs={job}"));
    let arguments = ["--noheader", "--all", "--array", "--states=all", &which];
    let word = word()?;
    // Arguments are everybody's to read, variables are not.
    let client = shared.client.with("SQUEUE_FORMAT", &format!("{word}|{QUEUE_FORMAT}"));
    let text = client.ask("squeue", &arguments)?;
    read_queue(&text, &word).map_err(|what| EngineError::Program { program: "squeue", what })
}

/// Asks what accounting has of jobs; nothing where the site keeps none.
pub(super) fn accounts(shared: &Shared, jobs: &BTreeSet<SlurmJob>) -> Result<Vec<(Number, AccountedJob)>, EngineError> {
    if !shared.config.accounting {
        return Ok(Vec::new());
    }
    let jobs = jobs.iter().map(SlurmJob::to_string).collect::<Vec<_>>().join(",");
    let user = format!("--user={}", shared.users.asked());
    let word = word()?;
    // There is no variable for it: whoever reads it from this call has until the answer to put it into a name.
    let delimiter = format!("--delimiter={word}");
    let how = ["--noheader", "--parsable2", "--duplicates", &delimiter, "--format", ACCOUNT_FORMAT];
    let text = shared.client.ask("sacct", &[&how[..], &["--jobs", &jobs, &user]].concat())?;
    read_accounts(&text, &word).map_err(|what| EngineError::Program { program: "sacct", what })
}

fn word() -> Result<String, EngineError> {
    random_word::<16>().map_err(EngineError::file("source of randomness", std::path::Path::new("/dev/urandom")))
}
