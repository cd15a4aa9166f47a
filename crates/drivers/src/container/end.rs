//! What became of a container, and that it is gone.

use std::{fs, os::unix::ffi::OsStrExt as _, thread, time::Duration};

use huisuan_model::{AttemptId, EndCause, Outcome, StartOrder, hex};
use sha2::{Digest as _, Sha256};

use super::inside::code_and_signal;
use super::{
    config::Containers,
    podman::{State, complaint},
    run,
};
use crate::folder::paths::AttemptPaths;

/// So often podman is told to remove a container before somebody else has to.
const REMOVALS_MAX: u32 = 60;
/// The pause between two.
const REMOVE_AGAIN: Duration = Duration::from_secs(1);

/// From here on a client's exit code may be podman's own, or may have a reason that only podman knows.
const CODES_OF_PODMAN: i32 = 125;

/// The container of an attempt.
#[derive(Debug)]
pub(crate) struct Container {
    containers: Containers,
    paths: AttemptPaths,
    name: String,
}

/// How the client of a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was another supervisor's child: nobody knows.
    Unknown,
}

/// The name of an attempt's container. Another centre on this machine may have the same attempt, but not in this
/// folder.
pub(crate) fn name(paths: &AttemptPaths, attempt: AttemptId) -> String {
    let mark = hex::encode(&Sha256::digest(paths.dir.as_os_str().as_bytes())[..5]);
    format!("hs-{mark}-{}-{}-{}", attempt.job, attempt.task, attempt.attempt)
}

impl Container {
    /// Of an order; `None` when it is of a process, or nothing is known here of containers.
    pub(crate) fn of(containers: Option<&Containers>, order: &StartOrder, paths: &AttemptPaths) -> Option<Container> {
        order.spec.image.as_ref()?;
        let name = name(paths, order.attempt);
        Some(Container { containers: containers?.clone(), paths: paths.clone(), name })
    }

    /// Its first process; `None` before it runs.
    pub(crate) fn first_process(paths: &AttemptPaths) -> Option<i32> {
        run::first_process(paths)
    }

    /// What podman knows of it.
    pub(crate) fn state(&self) -> Result<State, String> {
        self.containers.state(&self.name)
    }

    /// How it ended whose client ended so; `detail` goes with a cause that is not its own. When this returns it is
    /// gone, or the outcome says that it may not be.
    pub(crate) fn end(&self, cause: EndCause, client: Client, detail: String) -> Outcome {
        let asked = !matches!(client, Client::Code(..CODES_OF_PODMAN));
        let state = if asked { self.state() } else { Ok(State::Gone) };
        let ran = Self::first_process(&self.paths).is_some();
        let plain = |cause, detail: &str| Outcome { cause, exit_code: None, signal: None, detail: detail.to_owned() };
        let mut outcome = match (cause, client, &state) {
            (EndCause::Exited, Client::Code(CODES_OF_PODMAN..), _) if !ran => {
                let said = fs::read(self.paths.stderr()).unwrap_or_default();
                let said = complaint(&String::from_utf8_lossy(&said));
                plain(EndCause::StartFailed, said.as_deref().unwrap_or("podman did not start it and does not say why"))
            }
            (cause, _, Ok(State::Ended { code, memory })) => {
                let (exit_code, signal) = code_and_signal(*code);
                match cause {
                    EndCause::Exited if *memory => plain(EndCause::Memory, "it used more memory than it asked for"),
                    cause => Outcome { cause, exit_code, signal, detail },
                }
            }
            (cause, Client::Code(code), _) => {
                let (exit_code, signal) = code_and_signal(code);
                Outcome { cause, exit_code, signal, detail }
            }
            (EndCause::Exited, _, Ok(State::Runs(_))) => {
                plain(EndCause::Lost, "podman's client was killed, so it was ended")
            }
            (EndCause::Exited, _, Ok(_)) if !ran => {
                plain(EndCause::Lost, "its supervisor ended before its container ran")
            }
            (EndCause::Exited, _, Ok(_)) => {
                plain(EndCause::Lost, "podman's client was killed and its container is gone")
            }
            (EndCause::Exited, _, Err(why)) => {
                plain(EndCause::Lost, &format!("podman does not say what became of it: {why}"))
            }
            // Told to end and killed with its client.
            (cause, Client::Signal(signal), _) => Outcome { cause, exit_code: None, signal: Some(signal), detail },
            (cause, Client::Unknown, _) => Outcome { cause, exit_code: None, signal: None, detail },
        };
        if let Err(why) = self.remove() {
            let ended = matches!(state, Ok(State::Ended { .. }) | Ok(State::Made)) || !asked;
            outcome.cause = if ended { outcome.cause } else { EndCause::Lost };
            outcome.detail = match ended {
                true => format!("its container {} cannot be removed: {why}", self.name),
                false => format!("its container {} cannot be ended and may run: {why}", self.name),
            };
        }
        outcome
    }

    /// Removes it, running or not; tries for a minute.
    pub(crate) fn remove(&self) -> Result<(), String> {
        let mut tried = self.containers.remove(&self.name);
        for _ in 1..REMOVALS_MAX {
            let Err(why) = &tried else { break };
            tracing::warn!(container = self.name, why, "container cannot be removed, trying again");
            #[expect(clippy::disallowed_methods, reason = "a pause between two tries of somebody else's program")]
            thread::sleep(REMOVE_AGAIN);
            tried = self.containers.remove(&self.name);
        }
        tried
    }
}
