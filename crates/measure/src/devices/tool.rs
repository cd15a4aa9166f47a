//! Running a maker's tool, for a while.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A tool that takes longer has a driver that hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than this is no list of devices.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;

/// What a tool prints, when it is there, ends in time and succeeds.
pub(super) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdout = child.stdout.take()?.take(OUTPUT_BYTES_MAX);
    let (sender, read) = mpsc::channel();
    // A thread of its own, because a read cannot be given up; it ends when the tool does.
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let ended = stdout.read_to_end(&mut bytes).map(|_| bytes);
        // Nobody listens any more when the tool took too long.
        let _ = sender.send(ended);
    });
    let Ok(read) = read.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    };
    let status = child.wait().ok()?;
    status.success().then(|| String::from_utf8_lossy(&read.unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_speaks_fails_or_is_not_there() {
        assert_eq!(output("echo", &["two", "words"]).as_deref(), Some("two words\n"));
        assert_eq!(output("false", &[]), None);
        assert_eq!(output("no-such-tool-anywhere", &[]), None);
    }
}
