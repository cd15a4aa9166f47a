//! Runs the real binary away from any server of this machine.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod running;
pub(crate) mod server;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

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
    ran(command(runtime.path()).args(arguments).output())
}

/// Turns an ended process into text.
pub(crate) fn ran(output: std::io::Result<Output>) -> Ran {
    let output = output.expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { exit: output.status.code().expect("an exit code"), stdout: text(output.stdout), stderr: text(output.stderr) }
}
