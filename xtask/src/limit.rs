//! A limit to the time of a command: what hangs is ended with all that it started, and named.

use std::{
    collections::BTreeMap,
    fs, io,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

/// Runs a command to its end; `None` when it did not end within the limit: then it and its descendants are killed, and
/// what it ran last is printed.
///
/// # Errors
///
/// When it cannot be started or looked at.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    if ends_within(Pid::from_child(&child), limit)? {
        return child.wait().map(Some);
    }
    end(&child);
    child.wait()?;
    Ok(None)
}

fn ends_within(process: Pid, limit: Duration) -> io::Result<bool> {
    let pidfd = pidfd_open(process, PidfdFlags::empty())?;
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => return Ok(ready > 0),
            // Rare enough that the limit begins anew.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Kills a process and all that descend from it, the youngest last, so that nobody starts anew what was killed.
fn end(child: &Child) {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, parent) in processes() {
        children.entry(parent).or_default().push(pid);
    }
    let mut open = i32::try_from(child.id()).map_or_else(|_| Vec::new(), |pid| vec![pid]);
    while let Some(pid) = open.pop() {
        eprintln!("ended: {pid} {}", words(pid));
        if let Some(pid) = Pid::from_raw(pid) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        open.extend(children.remove(&pid).unwrap_or_default());
    }
}

/// Every process and its parent.
fn processes() -> Vec<(i32, i32)> {
    let of = |entry: io::Result<fs::DirEntry>| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name, which may hold anything: state, parent.
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        Some((pid, parent))
    };
    fs::read_dir("/proc").into_iter().flatten().filter_map(of).collect()
}

fn words(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_in_time_is_told_as_it_ended() {
        let code = |script: &str| {
            let ran = run(Command::new("sh").args(["-c", script]), Duration::from_secs(60));
            ran.expect("it starts").and_then(|status| status.code())
        };
        assert_eq!(code("exit 0"), Some(0));
        assert_eq!(code("exit 3"), Some(3));
        assert!(run(&mut Command::new("no-such-program-anywhere"), Duration::from_secs(60)).is_err());
    }

    #[test]
    fn what_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > '{}'; wait", file.display());
        let ran = run(Command::new("sh").args(["-c", &script]), Duration::from_secs(3)).expect("it starts");
        assert_eq!(ran, None);
        let pid: i32 = fs::read_to_string(file).expect("a number").trim().parse().expect("a number");
        // Either nobody has this number any more, or its owner is just ending.
        let ended = ends_within(Pid::from_raw(pid).expect("a number"), Duration::from_secs(60));
        assert!(ended.unwrap_or(true), "{pid} goes on");
    }
}
