//! Calls of podman that answer a question or do one thing, none of which may take for ever.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use huisuan_model::StartOrder;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::config::Containers;

/// No call takes longer, but for a machine that is out of everything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What podman itself needs of the supervisor's environment: where its programs and a plain user's storage are.
const INHERITED: [&str; 3] = ["PATH", "HOME", "XDG_RUNTIME_DIR"];

/// The exit code by which podman says that a container's program was not found.
const NOT_FOUND: i32 = 127;

/// The longest word of podman that is passed on, in characters.
const WORDS_MAX: usize = 300;

/// What podman knows of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing: it was never made, or is removed.
    Gone,
    /// It was made and its program never ran.
    Made,
    /// It runs; the process is its first.
    Runs(i32),
    /// It ended with this code; whether the kernel ended it for its memory.
    Ended {
        /// As a shell tells it.
        code: i32,
        /// By the kernel, for its memory.
        memory: bool,
    },
}

impl Containers {
    /// Podman with nothing of the environment but what it needs.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.podman);
        command.env_clear().envs(INHERITED.iter().filter_map(|&name| Some((name, std::env::var_os(name)?))));
        command.args(self.runtime.iter().map(|runtime| format!("--runtime={runtime}")));
        command
    }

    fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Output, String> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: io::Error| format!("podman cannot be started: {error}");
        let mut child = command.spawn().map_err(failed)?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        let timeout = Timespec::try_from(PATIENCE).map_err(|error| failed(io::Error::other(error)))?;
        // A signal that interrupts the wait is as good as its end: what is still running then is ended.
        if !matches!(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)), Ok(1)) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("podman did not answer within {} s", PATIENCE.as_secs()));
        }
        child.wait_with_output().map_err(failed)
    }

    /// What is known of a container.
    pub(crate) fn state(&self, name: &str) -> Result<State, String> {
        let format = "--format={{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Pid}}";
        let answer = self.call(["container", "inspect", format, name])?;
        if !answer.status.success() {
            // It says the same of what it cannot find and of what it cannot read, so it is asked once more.
            let exists = self.call(["container", "exists", name])?;
            return match exists.status.code() {
                Some(1) => Ok(State::Gone),
                _ => Err(said(&answer)),
            };
        }
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        read_state(text.trim()).ok_or_else(|| format!("podman describes container {name} as `{}`", text.trim()))
    }

    /// Ends a container where it runs and removes it; one that is not there is as good.
    pub(crate) fn remove(&self, name: &str) -> Result<(), String> {
        let answer = self.call(["rm", "--force", "--time=0", "--ignore", name])?;
        if answer.status.success() { Ok(()) } else { Err(said(&answer)) }
    }

    /// Starts a container without anything in it and sees podman not find its program, which is the last thing that can
    /// be wrong. Needs no image.
    pub(super) fn probe(&self, scratch: &Path) -> Result<(), String> {
        let root = scratch.join(format!("probe-{}", std::process::id()));
        let failed = |error: io::Error| format!("folder `{}` cannot be used: {error}", root.display());
        fs::create_dir_all(&root).map_err(failed)?;
        let mut arguments: Vec<String> = ["run", "--rm", "--network=none"].map(str::to_owned).into();
        arguments.extend(super::run::limits());
        arguments.extend(super::run::BOUNDS.map(str::to_owned));
        arguments.push("--rootfs".into());
        let words = arguments.iter().map(OsStr::new).chain([root.as_os_str(), OsStr::new("/nothing")]);
        let answer = self.call(words);
        fs::remove_dir_all(&root).map_err(failed)?;
        match answer? {
            answer if answer.status.code() == Some(NOT_FOUND) => Ok(()),
            answer => Err(said(&answer)),
        }
    }
}

/// The images of one batch of orders: each is looked for once.
#[derive(Debug)]
pub(crate) struct Images {
    containers: Option<Containers>,
    missing: BTreeMap<String, Option<String>>,
}

impl Images {
    pub(crate) fn new(containers: Option<Containers>) -> Self {
        Images { containers, missing: BTreeMap::new() }
    }

    /// Why the image of an order cannot be had here; `None` when it can, and for an order without one.
    pub(crate) fn missing(&mut self, order: &StartOrder) -> Option<String> {
        let (image, containers) = (order.spec.image.as_ref()?, self.containers.as_ref()?);
        if containers.pulls(image) {
            return None;
        }
        let look = || match containers.call(["image", "exists", image]) {
            Ok(answer) if answer.status.success() => None,
            Ok(answer) if answer.status.code() == Some(1) => {
                Some(format!("image `{image}` is not on this machine, and the site pulls none from its registry"))
            }
            Ok(answer) => Some(format!("image `{image}` cannot be looked for: {}", said(&answer))),
            Err(why) => Some(format!("image `{image}` cannot be looked for: {why}")),
        };
        self.missing.entry(image.clone()).or_insert_with(look).clone()
    }
}

impl Containers {
    /// Whether an image is pulled when it is not there.
    pub(super) fn pulls(&self, image: &str) -> bool {
        self.registries.iter().any(|registry| image.starts_with(registry.as_str()))
    }
}

fn read_state(text: &str) -> Option<State> {
    let words: Vec<&str> = text.split(' ').collect();
    let [status, code, memory, pid] = words[..] else { return None };
    match status {
        "created" | "initialized" | "configured" => Some(State::Made),
        "running" | "paused" | "stopping" => Some(State::Runs(pid.parse().ok().filter(|&pid| pid > 0)?)),
        "exited" | "stopped" => Some(State::Ended { code: code.parse().ok()?, memory: memory == "true" }),
        "removing" => Some(State::Gone),
        _ => None,
    }
}

/// What podman complained of: its last line that is an error.
fn said(answer: &Output) -> String {
    complaint(&String::from_utf8_lossy(&answer.stderr)).unwrap_or_else(|| format!("it ended with {}", answer.status))
}

/// The last error in what podman wrote.
pub(super) fn complaint(text: &str) -> Option<String> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("Error: "))?;
    Some(line.trim().chars().take(WORDS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read() {
        let ended = |code, memory| Some(State::Ended { code, memory });
        for (text, state) in [
            ("running 0 false 42", Some(State::Runs(42))),
            ("exited 143 false 0", ended(143, false)),
            ("exited 137 true 0", ended(137, true)),
            ("created 0 false 0", Some(State::Made)),
            ("removing 0 false 0", Some(State::Gone)),
            ("running 0 false 0", None),
            ("running 0 false", None),
            ("flying 0 false 0", None),
            ("", None),
        ] {
            assert_eq!(read_state(text), state, "{text}");
        }
    }

    #[test]
    fn the_last_complaint_counts() {
        assert_eq!(complaint("out\nError: a\nError: b\nmore\n").as_deref(), Some("b"));
        assert_eq!(complaint("no error"), None);
    }
}
