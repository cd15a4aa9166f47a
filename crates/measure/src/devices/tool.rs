//! Running a maker's tool, for a while.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
    // Read beside the wait: a tool whose pipe is full would never end.
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                // What it started itself may keep the pipe open; the reader then ends with it.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let bytes = reader.join().ok()?.ok()?;
    status.success().then(|| String::from_utf8_lossy(&bytes).into_owned())
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
