//! Calls Slurm's own programs: arguments as a list, a clean environment, a limit of time.

use std::{
    ffi::{OsStr, OsString},
    io::{BufReader, Read},
    os::fd::AsFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{config::SlurmConfig, users::User};
use crate::engine::EngineError;

/// Longer lines are nobody's.
const LINE_BYTES_MAX: usize = 200;

/// How often a call looks whether it should give up.
const TICK: Duration = Duration::from_millis(100);

/// Variables of the agent that Slurm's programs get, and with them every job.
const INHERITED: [&str; 4] = ["HOME", "LANG", "LOGNAME", "USER"];

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) success: bool,
    pub(super) stdout: String,
    /// Standard error, or why the program was given up.
    pub(super) stderr: String,
}

impl Answer {
    fn failed(why: String) -> Self {
        Answer { success: false, stdout: String::new(), stderr: why }
    }
}

/// Calls programs until it is told to stop.
#[derive(Debug, Clone)]
pub(super) struct Client {
    environment: Vec<(OsString, OsString)>,
    /// How long a program may take.
    pub(super) timeout: Duration,
    stop: Arc<AtomicBool>,
}

impl Client {
    pub(super) fn new(config: &SlurmConfig, stop: Arc<AtomicBool>) -> Self {
        let system = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let folders = config.programs.iter().cloned().chain(std::env::split_paths(&system));
        let path = std::env::join_paths(folders).unwrap_or(system);
        let mut environment: Vec<(OsString, OsString)> = vec![("PATH".into(), path)];
        environment.extend(INHERITED.iter().filter_map(|&name| Some((name.into(), std::env::var_os(name)?))));
        // Times come as seconds since 1970, whatever the site's zone is.
        environment.push(("SLURM_TIME_FORMAT".into(), "%s".into()));
        let conf = config.slurm_conf.as_ref().map(|path| path.clone().into_os_string());
        environment.extend(conf.or_else(|| std::env::var_os("SLURM_CONF")).map(|path| ("SLURM_CONF".into(), path)));
        Client { environment, timeout: Duration::from_millis(config.command_timeout_ms), stop }
    }

    /// The same with one variable more for its programs, which other users cannot read.
    pub(super) fn with(&self, name: &str, value: &str) -> Client {
        let mut client = self.clone();
        client.environment.push((name.into(), value.into()));
        client
    }

    /// Runs a program to its end. When it cannot be started or takes too long, the answer is a failure that says so:
    /// what the program did until then is not known.
    pub(super) fn call<A: AsRef<OsStr>>(&self, program: &'static str, arguments: &[A]) -> Answer {
        self.call_as(None, program, arguments)
    }

    /// The same as another user, where one is given.
    pub(super) fn call_as<A: AsRef<OsStr>>(
        &self,
        user: Option<&User>,
        program: &'static str,
        arguments: &[A],
    ) -> Answer {
        let mut command = self.command(user, program);
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Answer::failed(format!("cannot be started: {error}")),
        };
        let read = self.read(&mut child);
        let (stdout, stderr) = match read {
            Ok(said) => said,
            Err(why) => {
                end(child);
                return Answer::failed(why);
            }
        };
        match child.wait() {
            Ok(status) => Answer { success: status.success(), stdout, stderr },
            Err(error) => Answer::failed(format!("cannot be waited for: {error}")),
        }
    }

    /// Starts a program that is fed and read by the caller, who waits for its end. What it says of errors is dropped.
    pub(super) fn start(
        &self,
        user: Option<&User>,
        program: &'static str,
        arguments: &[String],
    ) -> std::io::Result<Child> {
        let mut command = self.command(user, program);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
    }

    /// As [`Client::call`] with an answer that is needed: a failure is an error.
    pub(super) fn ask<A: AsRef<OsStr>>(&self, program: &'static str, arguments: &[A]) -> Result<String, EngineError> {
        let answer = self.call(program, arguments);
        if answer.success {
            return Ok(answer.stdout);
        }
        Err(EngineError::Program { program, what: format!("failed: {}", first_line(&answer.stderr)) })
    }

    /// A program with its environment; as another user by `sudo`, which never asks for a password, sets that user's own
    /// variables, and is told by its path what to run, as the site's rules name it.
    fn command(&self, user: Option<&User>, program: &str) -> Command {
        let path = self.find(program);
        let mut command = Command::new(if user.is_some() { self.find("sudo") } else { path.clone() });
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(user) = user {
            command.args(["-n", "-H", "-u", &user.name]);
            // It passes on no variable that is not named.
            for (name, value) in self.environment.iter().filter(|(name, _)| name == "SLURM_CONF") {
                let mut assignment = name.clone();
                assignment.push("=");
                assignment.push(value);
                command.arg(assignment);
            }
            command.arg("--").arg(path);
        }
        command
    }

    /// Whether a program is there.
    pub(super) fn has(&self, program: &str) -> bool {
        Path::new(&self.find(program)).is_absolute()
    }

    fn find(&self, program: &str) -> OsString {
        let path = &self.environment[0].1;
        let found = std::env::split_paths(path).map(|folder| folder.join(program)).find(|file| file.is_file());
        found.map_or_else(|| program.into(), Into::into)
    }

    /// Both outputs, read as they come, so that neither pipe fills up.
    fn read(&self, child: &mut Child) -> Result<(String, String), String> {
        let mut pipes: Vec<(Box<dyn Pipe>, Vec<u8>)> = Vec::new();
        pipes.extend(child.stdout.take().map(|pipe| (Box::new(pipe) as Box<dyn Pipe>, Vec::new())));
        pipes.extend(child.stderr.take().map(|pipe| (Box::new(pipe) as Box<dyn Pipe>, Vec::new())));
        let mut open = vec![true; pipes.len()];
        let deadline = Instant::now() + self.timeout;
        let tick = Timespec::try_from(TICK).expect("a short time");
        while open.contains(&true) {
            if self.stop.load(Ordering::Relaxed) {
                return Err("was given up because the engine is closed".to_owned());
            }
            if Instant::now() >= deadline {
                return Err(format!("did not answer in {:?}", self.timeout));
            }
            let mut fds = Vec::with_capacity(2);
            for ((pipe, _), _) in pipes.iter().zip(&open).filter(|(_, open)| **open) {
                fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
            }
            let ready = poll(&mut fds, Some(&tick));
            let ready: Vec<bool> = fds.iter().map(|fd| ready.is_ok() && !fd.revents().is_empty()).collect();
            let mut ready = ready.into_iter();
            for ((pipe, text), open) in pipes.iter_mut().zip(&mut open).filter(|(_, open)| **open) {
                if ready.next() != Some(true) {
                    continue;
                }
                let mut part = [0; 65_536];
                match pipe.read(&mut part) {
                    Ok(0) => *open = false,
                    Ok(length) => text.extend_from_slice(&part[..length]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(format!("cannot be read: {error}")),
                }
            }
        }
        let mut texts = pipes.into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned());
        Ok((texts.next().unwrap_or_default(), texts.next().unwrap_or_default()))
    }
}

/// The first line of what a program that goes on says, without its end, cut to a readable length; empty when the program
/// said nothing and ended. An error when it says none in this time, or everybody stops.
pub(super) fn first_line_within<P: Read + AsFd>(
    output: &mut BufReader<P>,
    timeout: Duration,
    stop: &AtomicBool,
) -> std::io::Result<String> {
    let deadline = Instant::now() + timeout;
    let tick = Timespec::try_from(TICK).expect("a short time");
    let mut line = Vec::new();
    while line.len() < LINE_BYTES_MAX {
        while output.buffer().is_empty()
            && rustix::event::poll(&mut [PollFd::new(output.get_ref(), PollFlags::IN)], Some(&tick))? == 0
        {
            if stop.load(Ordering::Relaxed) || Instant::now() >= deadline {
                return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer in {timeout:?}")));
            }
        }
        let mut byte = [0];
        if output.read(&mut byte)? == 0 || byte[0] == b'\n' {
            break;
        }
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Ends a program. One that `sudo` runs is root's or another user's: it ends by itself, and nobody waits for it here.
pub(super) fn end(mut child: Child) {
    if child.kill().is_ok() {
        let _ = child.wait();
    } else {
        // Where there is no thread to be had, what is left of it goes with this process.
        let _ = thread::Builder::new().name("slurm-reap".into()).spawn(move || child.wait());
    }
}

trait Pipe: Read + AsFd {}
impl<T: Read + AsFd> Pipe for T {}

/// The first line that says something, cut to a readable length.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message");
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::slurm::config::example;

    fn client(folder: &Path, timeout_ms: u64, text: &str) -> Client {
        let program = folder.join("squeue");
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
        let mut config = example(folder);
        config.programs = Some(folder.to_owned());
        config.command_timeout_ms = timeout_ms;
        Client::new(&config, Arc::default())
    }

    #[test]
    fn a_program_answers_fails_or_is_given_up() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let check = |text: &str, expected: Result<&str, &str>| {
            let client = client(folder.path(), 2_000, text);
            match (client.ask("squeue", &["a b", "$(id)"]), expected) {
                (Ok(said), Ok(expected)) => assert_eq!(said, expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "`{error}` does not say `{part}`"),
                (said, expected) => panic!("{text}: {said:?}, expected {expected:?}"),
            }
        };
        check("printf '%s|' \"$@\"", Ok("a b|$(id)|"));
        check("echo $CARGO_MANIFEST_DIR $SLURM_TIME_FORMAT", Ok("%s\n"));
        check("echo no >&2; echo x; exit 3", Err("failed: no"));
        check("head -c 300000 /dev/zero | tr '\\0' e >&2; echo done", Ok("done\n"));
        check("exec sleep 100", Err("did not answer"));
    }

    #[test]
    fn a_first_line_is_waited_for_and_not_for_ever() {
        let said = |text: &str, timeout_ms: u64| {
            let mut child = Command::new("bash").args(["-c", text]).stdout(Stdio::piped()).spawn().expect("bash");
            let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
            let timeout = Duration::from_millis(timeout_ms);
            let line = first_line_within(&mut output, timeout, &AtomicBool::new(false)).map_err(|error| error.kind());
            end(child);
            line
        };
        let ok = |line: &str| Ok(line.to_owned());
        assert_eq!(said("echo one; echo two; exec sleep 100", 60_000), ok("one"));
        assert_eq!(said("printf o; sleep 0.2; echo ne", 60_000), ok("one"));
        assert_eq!(said("printf rest", 60_000), ok("rest"));
        assert_eq!(said("true", 60_000), ok(""));
        assert_eq!(said("yes | tr -d '\\n'", 60_000).map(|line| line.len()), Ok(LINE_BYTES_MAX));
        assert_eq!(said("printf half; exec sleep 100", 300), Err(std::io::ErrorKind::TimedOut));
    }

    /// What `sudo` is told: no password, whose rights, no variable but Slurm's own, and the program by its path.
    #[test]
    fn another_user_is_asked_of_sudo() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut client = client(folder.path(), 2_000, "true");
        let sudo = folder.path().join("sudo");
        fs::write(&sudo, "#!/bin/sh\nprintf '%s|' \"$@\"\n").expect("written");
        fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).expect("made a program");
        client.environment.retain(|(name, _)| name != "SLURM_CONF");
        client.environment.push(("SLURM_CONF".into(), "/x/slurm.conf".into()));
        let user = User { name: "anna".to_owned(), uid: 1001, group: 1001 };
        let said = client.call_as(Some(&user), "squeue", &["a b"]);
        let path = folder.path().join("squeue");
        assert_eq!(said.stdout, format!("-n|-H|-u|anna|SLURM_CONF=/x/slurm.conf|--|{}|a b|", path.display()));
        assert!(client.has("sudo") && !client.has("no-such-program"));
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let client = client(folder.path(), 2_000, "true");
        assert!(client.call("no-such-program", &[""]).stderr.contains("cannot be started"));
    }
}
