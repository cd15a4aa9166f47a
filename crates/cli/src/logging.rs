//! Logs of what runs long: `serve`, `agent` and `demo`. `HUISUAN_LOG` names the least level that is
//! written: error, warn, info, debug or trace.

use std::{fs::File, io::IsTerminal, path::Path, sync::Mutex};

use tracing::Level;

use crate::failure::Failure;

/// Logs to standard error.
pub(crate) fn to_stderr() {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt().with_max_level(level()).with_ansi(colour).with_writer(std::io::stderr);
    // Only the first one counts; there is no second.
    let _ = subscriber.try_init();
}

/// Logs to a file, which is emptied first.
pub(crate) fn to_file(path: &Path) -> Result<(), Failure> {
    let file = File::create(path).map_err(|error| Failure::file("written", path, &error))?;
    let subscriber = tracing_subscriber::fmt().with_max_level(level()).with_ansi(false).with_writer(Mutex::new(file));
    let _ = subscriber.try_init();
    Ok(())
}

fn level() -> Level {
    std::env::var("HUISUAN_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(Level::INFO)
}
