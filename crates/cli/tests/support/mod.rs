//! Runs the real binary away from any server of this machine.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod running;
pub(crate) mod server;

use std::{
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use running::wait_until;

/// No command runs longer; reached only when something is broken, and then it is better told than waited for.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// The binary with an environment in which it can find no server.
pub(crate) fn command(runtime: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_huisuan"));
    command
        .env_remove("HUISUAN_SERVER")
        .env_remove("HUISUAN_TOKEN")
        .env_remove("NO_COLOR")
        .env("XDG_RUNTIME_DIR", runtime)
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn huisuan(arguments: &[&str]) -> Ran {
    let runtime = tempfile::tempdir().expect("a scratch folder");
    ran(command(runtime.path()).args(arguments))
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn ran(command: &mut Command) -> Ran {
    fn text(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).expect("text");
            text
        })
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let stdout = text(child.stdout.take().expect("a pipe"));
    let stderr = text(child.stderr.take().expect("a pipe"));
    let ended = wait_until(Instant::now() + ENDS_WITHIN, || child.try_wait().expect("a child can be looked at"));
    if ended.is_none() {
        // What it said is what may tell why.
        _ = child.kill();
    }
    let said = |pipe: thread::JoinHandle<String>| pipe.join().expect("text");
    let (stdout, stderr) = (said(stdout), said(stderr));
    let Some(status) = ended else { panic!("{command:?} did not end in {ENDS_WITHIN:?}:\n{stdout}\n{stderr}") };
    Ran { exit: status.code().expect("an exit code"), stdout, stderr }
}
