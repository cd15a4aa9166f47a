//! Processes of the binary that stay: a server, an agent, a demo. Each test has a home folder of its own, so
//! that nothing of this user or of another test is found or left behind.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use huisuan_api::Client;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Ran, command, ran};

/// No test waits longer for one thing; reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of a log that a failed test shows.
const LOG_LINES_SHOWN: usize = 60;

/// A scratch home folder.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Home {
        Home { folder: tempfile::tempdir().expect("a scratch folder") }
    }

    /// A path in it, as text for command lines.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("scratch paths are UTF-8").to_owned()
    }

    /// The binary, at home here.
    pub(crate) fn command(&self) -> Command {
        let mut command = command(self.folder.path());
        command.env("HOME", self.folder.path()).env_remove("XDG_DATA_HOME").env_remove("FAILPOINTS");
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command().args(arguments))
    }

    /// Starts the binary with `arguments`; it is a process that stays and has no address.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Running {
        self.spawn_heard(arguments, &[]).0
    }

    /// The same with more in its environment.
    pub(crate) fn spawn_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        self.spawn_heard(arguments, environment).0
    }

    fn spawn_heard(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Running, Receiver<String>) {
        let mut command = self.command();
        command.args(arguments).envs(environment.iter().copied());
        let log = self.folder.path().join("stdout.log");
        let output = File::options().append(true).create(true).open(&log).expect("a log file");
        let mut child = command.stdout(output).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let (stderr, said) = listen(&mut child);
        (Running { child, url: String::new(), stderr, folder: self.folder.path().to_owned() }, said)
    }

    /// Starts the binary with `arguments` and waits until it says where its server listens; gives back how it
    /// ended when it ends before.
    pub(crate) fn try_start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Running, Ran> {
        let (mut running, said) = self.spawn_heard(arguments, environment);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(url) = address(&line) {
                        running.url = url;
                        return Ok(running);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = running.wait(PATIENCE);
                    return Err(Ran {
                        exit: status.code().unwrap_or(-1),
                        stdout: String::new(),
                        stderr: running.stderr(),
                    });
                }
                Err(RecvTimeoutError::Timeout) => panic!("no address in {PATIENCE:?}:\n{}", running.logs()),
            }
        }
    }

    /// The same for those that must start.
    pub(crate) fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        self.try_start(arguments, environment).unwrap_or_else(|ran| panic!("it does not start: {ran:?}"))
    }
}

/// The address in a line such as `server at http://127.0.0.1:1234, data in ...`.
fn address(line: &str) -> Option<String> {
    let from = line.find("http://").filter(|_| line.starts_with("server at ") || line.starts_with("network at "))?;
    line[from..].split([',', ' ']).next().map(str::to_owned)
}

/// Collects standard error and passes its lines on.
fn listen(child: &mut Child) -> (Arc<Mutex<String>>, Receiver<String>) {
    let (tell, said) = channel();
    let all = Arc::new(Mutex::new(String::new()));
    let (collected, stderr) = (Arc::clone(&all), child.stderr.take().expect("standard error is a pipe"));
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut text = collected.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            text.push('\n');
            drop(text);
            // Nobody listens any more once the address is known.
            let _ = tell.send(line);
        }
    });
    (all, said)
}

/// A process that stays until it is killed, stopped or dropped.
pub(crate) struct Running {
    child: Child,
    /// Where its server listens.
    pub(crate) url: String,
    stderr: Arc<Mutex<String>>,
    folder: PathBuf,
}

impl Running {
    /// Runs a client command against it.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Ran {
        let mut command = command(&self.folder);
        command.env("HOME", &self.folder).args(arguments).args(["--server", &self.url]);
        ran(&mut command)
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, None).expect("its address is one")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    /// Asks it to end as a service manager does, and waits for that.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("it runs");
        self.wait(PATIENCE)
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be looked at")
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        wait_until(deadline, || self.ended())
            .unwrap_or_else(|| panic!("it did not end in {within:?}:\n{}", self.logs()))
    }

    /// What it said on standard error.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it and the processes of its centres said, for failed tests.
    pub(crate) fn logs(&self) -> String {
        let mut text = format!("--- standard error\n{}", last_lines(&self.stderr()));
        logs_below(&self.folder, &mut text);
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        self.kill();
    }
}

/// Looks again and again until `look` finds something or it is too late.
pub(crate) fn wait_until<T>(deadline: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause(Duration::from_millis(10));
    }
}

/// Lets time pass between two looks, or before a blow that is to come at a random moment.
pub(crate) fn pause(time: Duration) {
    let (_kept, nobody) = channel::<()>();
    let _ = nobody.recv_timeout(time);
}

fn logs_below(folder: &Path, text: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "attempts" {
            logs_below(&path, text);
        } else if matches!(&*name, "demo.log" | "supervisor.log") {
            let log = fs::read_to_string(&path).unwrap_or_default();
            let _ = write!(text, "--- {}\n{}", path.display(), last_lines(&log));
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
    shown.iter().flat_map(|line| [line, "\n"]).collect()
}
