//! The agent's end of the socket: finds the supervisor, starts one when there is none.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{fs::OpenOptionsExt as _, net::UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use huisuan_model::{AttemptId, ChannelTarget};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
};

use super::{
    config::{SupervisorConfig, VERSION},
    wire::{Reply, Request, read_line, write_line},
};
use crate::{engine::EngineError, folder::paths::Paths};

/// What a supervisor prints once it listens.
pub(crate) const READY: &str = "huisuan-supervisor ready";

/// How long a supervisor may take from its start until it listens; recovery of a large folder included.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long any answer may take beyond the wait that was asked for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// The path of the socket as the kernel gets it. The folder is named by a descriptor, because a socket's
/// path may have 107 bytes at most and a centre's folder may lie deeper.
pub(crate) fn socket_path(folder: &File) -> String {
    format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), Paths::SOCKET)
}

/// One open connection, past its hello.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<UnixStream>,
    pub(crate) memory_mode: String,
}

impl Connection {
    /// Connects to a supervisor that is there. An inner error means that there is none.
    pub(crate) fn open(
        paths: &Paths,
        config: &SupervisorConfig,
        observer: bool,
    ) -> Result<Result<Self, io::Error>, EngineError> {
        let hello = Request::Hello { version: VERSION, config: config.clone(), observer };
        let greet = || -> io::Result<(BufReader<UnixStream>, Reply)> {
            let folder = File::open(&paths.dir)?;
            let mut reader = BufReader::new(UnixStream::connect(socket_path(&folder))?);
            let reply = exchange(&mut reader, &hello, Duration::ZERO)?;
            Ok((reader, reply))
        };
        let supervisor = |what: String| EngineError::Supervisor { dir: paths.dir.clone(), what };
        match greet() {
            Err(error) => Ok(Err(error)),
            Ok((_, Reply::Welcome { version, .. })) if version != VERSION => {
                Err(supervisor(format!("speaks version {version}, this program speaks {VERSION}")))
            }
            Ok((reader, Reply::Welcome { memory_mode, .. })) => Ok(Ok(Connection { reader, memory_mode })),
            Ok((_, Reply::Refused(why))) => Err(supervisor(format!("refuses this agent: {why}"))),
            Ok((_, other)) => Err(supervisor(format!("answers a hello with {other:?}"))),
        }
    }

    /// Makes the connection a channel into a session; an inner error is what was answered instead.
    pub(crate) fn into_channel(
        mut self,
        attempt: AttemptId,
        target: ChannelTarget,
    ) -> io::Result<Result<UnixStream, Reply>> {
        write_line(&mut self.reader.get_mut(), &Request::Attach { attempt, target })?;
        let mut stream = self.reader.into_inner();
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        // Byte by byte: what follows the answer are frames, and somebody else's to read.
        let (mut line, mut byte) = (Vec::new(), [0]);
        while line.last() != Some(&b'\n') {
            stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        stream.set_read_timeout(None)?;
        match serde_json::from_slice(&line)? {
            Reply::Done => Ok(Ok(stream)),
            other => Ok(Err(other)),
        }
    }

    /// Asks and waits for the answer.
    pub(crate) fn call(&mut self, request: &Request, wait: Duration) -> io::Result<Reply> {
        exchange(&mut self.reader, request, wait)
    }
}

fn exchange(reader: &mut BufReader<UnixStream>, request: &Request, wait: Duration) -> io::Result<Reply> {
    reader.get_ref().set_read_timeout(Some(wait.saturating_add(ANSWER_PATIENCE)))?;
    write_line(&mut reader.get_mut(), request)?;
    read_line(reader)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Holds the right to look for a supervisor and to start one, so that two agents do not start two.
pub(crate) fn lock_start(paths: &Paths) -> Result<File, EngineError> {
    let path = paths.start_lock();
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(EngineError::file("lock", &path))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|e| EngineError::file("lock", &path)(e.into()))?;
    Ok(file)
}

/// Starts a supervisor and waits until it listens. The caller holds [`lock_start`].
pub(crate) fn start_supervisor(
    paths: &Paths,
    config: &SupervisorConfig,
    argv: &[OsString],
) -> Result<Child, EngineError> {
    write_config(&paths.config(), config).map_err(EngineError::file("configuration", &paths.config()))?;
    let supervisor = |what: String| EngineError::Supervisor { dir: paths.dir.clone(), what };
    let (program, arguments) = argv.split_first().ok_or_else(|| supervisor("has no program to start it".into()))?;
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(paths.log());
    let mut child = Command::new(program)
        .args(arguments)
        .arg("--dir")
        .arg(&paths.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.map_err(EngineError::file("log", &paths.log()))?)
        .spawn()
        .map_err(|error| supervisor(format!("cannot be started with `{}`: {error}", program.display())))?;
    match wait_ready(&mut child) {
        Ok(()) => Ok(child),
        Err(error) => {
            // Whatever it was, it is not a supervisor that can be spoken with. Reaped here.
            let _ = child.kill();
            let status = child.wait().map(|status| status.to_string()).unwrap_or_default();
            Err(supervisor(format!("did not become ready: {error} ({status})")))
        }
    }
}

fn wait_ready(child: &mut Child) -> io::Result<()> {
    let deadline = Instant::now() + START_PATIENCE;
    let Some(stdout) = child.stdout.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
    let mut reader = BufReader::new(stdout);
    loop {
        if reader.buffer().is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut fds = [PollFd::new(reader.get_ref(), PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended at once"));
        }
        if line.trim_end().ends_with(READY) {
            return Ok(());
        }
    }
}

fn write_config(path: &Path, config: &SupervisorConfig) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(config)?)?;
    file.sync_all()?;
    fs::rename(&new, path)
}
