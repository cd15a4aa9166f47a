//! The supervisor: one process per centre that starts, watches and ends attempts, whoever comes and goes
//! at the other end of its socket.
//!
//! Threads: this one accepts connections; one per connection (`serve`); one per running attempt (`worker`,
//! reused); one that syncs ends to disk in groups (`shared::commit_ends`); one that samples usage.

mod attempt;
mod cores;
mod power;
mod process;
mod recover;
mod sample;
mod serve;
pub(super) mod session;
mod shared;
mod start;
mod state;
mod watch;
mod worker;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        fs::OpenOptionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
};

use self::{
    recover::{recover, watch_adopted},
    shared::{Shared, lock},
};
use super::{
    config::SupervisorConfig,
    connection::{READY, socket_path},
};
use crate::{engine::EngineError, folder::paths::Paths};

/// The pause between two looks at a folder that another supervisor has.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// The main function of a supervisor; `config_dir` is the centre's folder. Returns when it has been
/// without agent and without work for a while.
///
/// It takes over the whole process: a session of its own, `/` as working directory, standard input and
/// output closed. A panic of any thread ends the process at once; its successor recovers.
///
/// # Errors
/// When the folder cannot be used or what is stored there is damaged.
pub fn supervise(config_dir: &Path) -> Result<(), EngineError> {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::abort();
    }));
    let paths = Paths::make(config_dir).map_err(EngineError::file("folder", config_dir))?;
    // An error means that it leads a session already.
    let _ = rustix::process::setsid();
    let failed = |source| EngineError::Connection { doing: "starting the supervisor", source };
    let Some(_only_one) = take_lock(&paths).map_err(EngineError::file("lock", &paths.lock()))? else {
        return say_ready().map_err(failed);
    };
    rustix::process::chdir("/").map_err(|error| EngineError::file("folder", Path::new("/"))(error.into()))?;
    let config = read_config(&paths.config())?;
    let linger = Duration::from_millis(config.linger_ms);
    let boot_path = Path::new("/proc/sys/kernel/random/boot_id");
    let boot_id = process::boot_id().map_err(EngineError::file("boot id", boot_path))?;
    let recovered = recover(&paths, config, &boot_id)?;
    let listener = listen(&paths).map_err(EngineError::file("socket in folder", &paths.dir))?;
    let recover::Recovered { state, accepted, done, adopted } = recovered;
    let shared = Arc::new(Shared::new(paths, boot_id, state, accepted, done));
    let threads = || -> io::Result<()> {
        adopted.into_iter().try_for_each(|adopted| watch_adopted(&shared, adopted))?;
        let committing = Arc::clone(&shared);
        thread::Builder::new().name("commit".into()).spawn(move || committing.commit_ends())?;
        let sampling = Arc::clone(&shared);
        thread::Builder::new().name("sample".into()).spawn(move || sample::sample(&sampling))?;
        shared.wake_worker(&mut lock(&shared.state));
        say_ready()
    };
    threads().map_err(failed)?;
    accept(&shared, &listener, linger).map_err(failed)
}

/// Waits until no other supervisor has the folder: one that is leaving may still hold it. The file then
/// says, for people, which process has it. `None` when the other one stays and serves: the agent that started
/// it was killed before it listened, and the next agent started this one because nobody answered yet.
fn take_lock(paths: &Paths) -> io::Result<Option<File>> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(paths.lock())?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) if served(paths) => return Ok(None),
            // No descriptor tells of both, the lock and the socket: this is a pause between two looks.
            Err(rustix::io::Errno::WOULDBLOCK) => drop(poll(&mut [], Some(&LOOK_AGAIN))),
            Err(error) => return Err(error.into()),
        }
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Some(file))
}

/// Whether a supervisor listens in the folder.
fn served(paths: &Paths) -> bool {
    File::open(&paths.dir).and_then(|folder| UnixStream::connect(socket_path(&folder))).is_ok()
}

fn read_config(path: &Path) -> Result<SupervisorConfig, EngineError> {
    let text = fs::read(path).map_err(EngineError::file("configuration", path))?;
    serde_json::from_slice(&text).map_err(|error| EngineError::Damaged {
        path: path.to_owned(),
        line: error.line(),
        detail: error.to_string(),
    })
}

fn listen(paths: &Paths) -> io::Result<UnixListener> {
    // What lies there is of a supervisor that is gone, for this one has the lock.
    match fs::remove_file(paths.dir.join(Paths::SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = File::open(&paths.dir)?;
    let listener = UnixListener::bind(socket_path(&folder))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Tells the agent that started this process, then lets go of its pipe.
fn say_ready() -> io::Result<()> {
    let mut stdout = io::stdout();
    // The line may follow other text that has no line end.
    if let Err(error) = writeln!(stdout, "\n{READY}").and_then(|()| stdout.flush()) {
        // The agent was killed meanwhile. What was accepted is being run already, and the next agent will come.
        tracing::warn!(%error, "nobody waits for this supervisor");
    }
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

fn accept(shared: &Arc<Shared>, listener: &UnixListener, linger: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(linger).ok();
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) if shared.may_leave() => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => {
                tracing::warn!(%error, "connection cannot be accepted");
                continue;
            }
        };
        lock(&shared.state).connections += 1;
        let serving = Arc::clone(shared);
        let thread = thread::Builder::new().name("serve".into()).spawn(move || serve::serve(&serving, stream));
        if let Err(error) = thread {
            lock(&shared.state).connections -= 1;
            tracing::warn!(%error, "connection cannot be served");
        }
    }
}
