//! What a command works with: where the server is, how to write, how to find a job.

use std::{cell::OnceCell, time::SystemTime};

use huisuan_api::{Client, ClientError, Problem, discovery, routes::JobsQuery};
use huisuan_model::TimeMs;

use crate::{
    args::Global,
    failure::{Exit, Failure},
    output::Output,
    select::{Selector, Which},
};

/// One run of the command line.
pub(crate) struct Session {
    /// How results are written.
    pub(crate) output: Output,
    /// The flags that every command takes.
    pub(crate) global: Global,
    client: OnceCell<Client>,
}

/// A server and how to speak to it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its address as it was given or found.
    pub(crate) url: String,
    /// The token to show to it.
    pub(crate) token: Option<String>,
}

impl Session {
    /// Reads flags and environment; talks to nobody.
    pub(crate) fn new(global: Global) -> Session {
        Session { output: Output::new(&global), global, client: OnceCell::new() }
    }

    /// The client of the server that was named or found.
    pub(crate) fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let target = self.target()?;
        let client = Client::new(&target.url, target.token.as_deref())?;
        Ok(self.client.get_or_init(|| client))
    }

    /// The server that was named, or the one that runs on this machine for this user.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        let folder = discovery::Folder::of_user();
        let token = self.global.token.clone();
        if let Some(url) = &self.global.server {
            // A broken file only matters to those who need it.
            let found = || folder.read().ok().flatten().filter(|running| same_server(&running.url, url));
            let token = token.or_else(|| found().map(|running| running.token));
            return Ok(Target { url: url.clone(), token });
        }
        let running = folder
            .read()
            .map_err(|error| Failure::new(Exit::Error, &error).hint(error.hint()))?
            .ok_or_else(|| no_server("no server is running here"))?;
        if !running.alive() {
            return Err(no_server(&format!("the server at {} has ended", running.url)));
        }
        Ok(Target { token: token.or(Some(running.token)), url: running.url })
    }

    /// The number of a job.
    pub(crate) fn job_id(&self, selector: &Selector) -> Result<u64, Failure> {
        match selector.job {
            Which::Number(job) => Ok(job.0),
            Which::Last => {
                let query = JobsQuery { page_size: Some(1), ..JobsQuery::default() };
                let newest = self.client()?.jobs(&query)?.jobs.into_iter().next();
                newest.map(|job| job.job_id).ok_or_else(|| {
                    Failure::new(Exit::NotFound, "there is no job yet").hint("submit one: huisuan run -- echo hello")
                })
            }
        }
    }

    /// The number of a job where no single task can be meant.
    pub(crate) fn whole_job_id(&self, selector: &Selector) -> Result<u64, Failure> {
        match selector.task {
            None => self.job_id(selector),
            Some(_) => Err(Failure::new(Exit::Usage, format!("`{selector}` names a task, not a whole job"))
                .hint("name the job without its task, such as 12 or `last`")),
        }
    }

    /// This machine's clock.
    pub(crate) fn now(&self) -> TimeMs {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        TimeMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

fn no_server(what: &str) -> Failure {
    Failure::new(Exit::Error, what).hint("start one with `huisuan demo`, or name one with --server URL")
}

/// Whether two addresses mean the same server, as far as their text can tell.
fn same_server(a: &str, b: &str) -> bool {
    let plain = |url: &str| url.trim_start_matches("http://").trim_end_matches('/').replace("localhost", "127.0.0.1");
    plain(a) == plain(b)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (hint, retryable) = (error.hint(), error.retryable());
        let failure = match error {
            ClientError::Problem(problem) => Failure::from(*problem),
            other => Failure::new(Exit::of_code(other.exit_code()), &other).hint(hint),
        };
        Failure { retryable, ..failure }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let failure = Failure::new(Exit::of_code(problem.code.exit_code()), &problem.detail);
        // A fault of the server is looked up in its log by this id; for the rest it is noise.
        let request = match problem.status {
            500.. if !problem.request_id.is_empty() => format!(" (request {})", problem.request_id),
            _ => String::new(),
        };
        failure.hint(format!("{}{request}", problem.hint))
    }
}

#[cfg(test)]
mod tests {
    use huisuan_api::ErrorCode;

    use super::*;

    #[test]
    fn addresses_are_compared_without_decoration() {
        assert!(same_server("http://127.0.0.1:1", "127.0.0.1:1/"));
        assert!(same_server("http://127.0.0.1:1", "http://localhost:1"));
        assert!(!same_server("http://127.0.0.1:1", "http://127.0.0.1:2"));
    }

    #[test]
    fn every_problem_has_its_exit_code_and_a_hint() {
        for code in ErrorCode::ALL {
            let failure = Failure::from(Problem::new(code, "something"));
            assert_eq!(failure.exit as u8, code.exit_code(), "{code}");
            assert!(failure.hint.is_some_and(|hint| !hint.is_empty()), "{code}");
        }
    }
}
