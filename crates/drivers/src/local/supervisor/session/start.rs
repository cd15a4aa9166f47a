//! From a start order to a process that a terminal of its own controls.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::Path,
    process::{Child, Command},
    sync::Arc,
    thread,
};

use huisuan_model::StartOrder;
use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::terminal::Terminal;
use crate::{
    folder::{paths::AttemptPaths, program::program},
    local::supervisor::start::{explain, find_program, set_environment, working_directory},
};

/// Makes a session and its controlling terminal for a program, which no safe call of the standard library does
/// between fork and exec. Part of util-linux, and so of nearly every system.
const SETSID: [&str; 2] = ["/usr/bin/setsid", "/bin/setsid"];

/// The window until somebody attaches with one.
const WINDOW: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// The terminal that programs are told of where the job names none.
const TERM: &str = "xterm";

/// Starts the session's process and the thread that serves its terminal. The error is a sentence for people.
pub(crate) fn start(
    order: &StartOrder,
    paths: &AttemptPaths,
    inherited: &[(&'static str, OsString)],
) -> Result<(Child, Arc<Terminal>), String> {
    let directory = working_directory(order, paths)?;
    let (program, arguments) = program(order, paths)?;
    let found = find_program(&program, order, inherited)?;
    let setsid = setsid()?;
    let no_terminal = |error: io::Error| format!("a terminal cannot be made: {error}");
    let (master, slave) = open_terminal().map_err(no_terminal)?;
    // Not in a group of its own: it leads one, and a session, as soon as it runs.
    let mut command = Command::new(setsid);
    command.arg("-c").arg(found).args(&arguments).current_dir(directory);
    set_environment(&mut command, order, paths, inherited);
    if !order.spec.environment.contains_key("TERM") {
        command.env("TERM", TERM);
    }
    let output = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(paths.stdout());
    let output = output.map_err(|error| format!("output `{}` cannot be created: {error}", paths.stdout().display()))?;
    let again = || slave.try_clone().map_err(no_terminal);
    command.stdin(again()?).stdout(again()?).stderr(slave);
    let child = command.spawn().map_err(|error| explain(&error, &program, directory))?;
    // The command holds the terminal's other end: while it is open here, the terminal never ends.
    drop(command);
    let terminal = Arc::new(Terminal::new(master, output));
    let serving = Arc::clone(&terminal);
    // From the worker's thread, so that it runs on the attempt's own cores.
    let thread = thread::Builder::new().name("terminal".into()).spawn(move || serving.serve());
    if let Err(error) = thread {
        // The child finds its terminal gone and ends: it is watched as any other.
        tracing::error!(attempt = %order.attempt, %error, "terminal cannot be served");
    }
    Ok((child, terminal))
}

/// The helper that makes a terminal the process's own; an error says for people that there is none.
pub(crate) fn setsid() -> Result<&'static Path, String> {
    let found = SETSID.iter().map(Path::new).find(|path| path.is_file());
    found.ok_or_else(|| format!("this centre has no {} of util-linux, which sessions need", SETSID[0]))
}

/// Both ends of a new terminal: ours, and the one for the process.
pub(super) fn open_terminal() -> io::Result<(File, File)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let no_control = i32::try_from(OFlags::NOCTTY.bits()).unwrap_or(0);
    let slave = Path::new(OsStr::from_bytes(name.to_bytes()));
    let slave = OpenOptions::new().read(true).write(true).custom_flags(no_control).open(slave)?;
    tcsetwinsize(&master, WINDOW)?;
    Ok((master.into(), slave))
}
