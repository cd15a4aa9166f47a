//! Ways into sessions: what is typed and shown travels through a step of the session's own job.
//!
//! The wrapper has `script` of util-linux make the session's terminal. Its keys come from a named pipe in the attempt's
//! folder, and what it shows is the attempt's output. Who attaches gets a step of the same job (`srun --overlap`),
//! which passes keys into the pipe and follows the output. So the terminal is the compute node's: it outlives every
//! step, every channel and every agent, and ends with the job.
//!
//! No word of a user is in a command line here: scripts are constants, and folders and numbers are their arguments.

use std::{
    io::{self, BufReader, Read as _, Write as _},
    net::Shutdown,
    os::unix::{fs::FileExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use huisuan_model::{
    AttemptId, ChannelTarget, Stream,
    channel::{Frame, PAYLOAD_BYTES_MAX},
};
use rustix::{
    fs::{CWD, Mode, mkfifoat},
    io::Errno,
};

use super::{
    client::first_line_within,
    output::Output,
    port::{self, Connection},
    record::ExitKind,
    shared::Shared,
    users::User,
};
use crate::{
    engine::EngineError,
    viewers::{Terminals, each_frame, lock},
};

/// The named pipe in a session's folder. Where it is, the wrapper makes a terminal.
pub(super) const KEYS: &str = "keys";

/// Passes keys in and output out, on the node. Its first line is the byte of the output from which it shows: all of a
/// short one, else the last 16 KiB from the first whole line on. It ends with its input.
const RELAY: &str = r#"until [ -e "$2" ]; do sleep 0.1; done
size=$(stat -c %s "$2") from=0
if [ "$size" -gt 16384 ]; then
    from=$((size - 16384))
    from=$((from + $(tail -c "+$((from + 1))" "$2" | head -n 1 | wc -c)))
fi
echo "$from"
tail -s 0.05 -c "+$((from + 1))" -f "$2" &
cat >"$1/keys"
kill "$!""#;

/// Sets the window, to another one first: a program learns of a viewer by a size that changes.
const WINDOW: &str = r#"for _ in {1..50}; do [ -s "$1/tty" ] && break; sleep 0.1; done
read -r terminal <"$1/tty" && stty rows "$(($2 > 1 ? $2 - 1 : $2))" cols "$3" <"$terminal" \
    && stty rows "$2" cols "$3" <"$terminal""#;

/// How long the record of a session's end may take to be seen once its step has ended.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How often a window is tried to be set: a busy controller refuses a step now and then.
const WINDOW_TRIES: u32 = 5;
/// How long a step may take to leave its node.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(100);
/// The character that says to a terminal that there is no more input.
const END_OF_INPUT: u8 = 4;

/// Who is attached to the sessions of an engine: one at a time to the terminal of each, any number to its ports.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    terminals: Terminals<Viewer>,
    ports: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
struct Viewer {
    /// Whole frames go in, one after the other.
    stream: Mutex<UnixStream>,
    /// The same, to read from it and to end it.
    handle: UnixStream,
    /// It has gone, or another one has its place: the end of its step is no news.
    gone: AtomicBool,
}

/// One session in its job.
pub(super) struct Place {
    id: AttemptId,
    /// What Slurm calls the job within itself.
    job: u64,
    folder: PathBuf,
    output: Output,
    /// Who runs it, when not the agent's own user.
    pub(super) user: Option<Arc<User>>,
}

/// Makes the pipe for the keys of a session, if it is not there.
pub(super) fn make_keys(folder: &Path) -> io::Result<()> {
    match mkfifoat(CWD, folder.join(KEYS), Mode::RUSR | Mode::WUSR) {
        Err(error) if error != Errno::EXIST => Err(error.into()),
        _ => Ok(()),
    }
}

impl Viewers {
    /// A stream of frames to a session that runs: to its terminal, in place of whoever had it, or to a port.
    pub(super) fn attach(
        &self,
        shared: &Arc<Shared>,
        id: AttemptId,
        target: ChannelTarget,
    ) -> Result<UnixStream, EngineError> {
        let place = Place::of(shared, id)?;
        if let ChannelTarget::Port(port) = target {
            let (theirs, connection) = port::open(shared, &place, port)?;
            let mut ports = lock(&self.ports);
            ports.retain(|connection| !connection.over());
            ports.push(connection);
            return Ok(theirs);
        }
        let failed = |source| EngineError::Connection { doing: "attaching", source };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let stream = Mutex::new(ours.try_clone().map_err(failed)?);
        let viewer = Arc::new(Viewer { stream, handle: ours, gone: AtomicBool::new(false) });
        let step = place.start(shared, RELAY, &[&place.output.path.display().to_string()]);
        let step = step.map_err(failed)?;
        let shared = Arc::clone(shared);
        let former = self.terminals.seat(id, viewer, move |viewer| serve(&shared, &place, viewer, step));
        if let Some(former) = former.map_err(failed)? {
            former.send(&Frame::Refused("somebody else is attached to this session now".to_owned()));
            former.end();
        }
        Ok(theirs)
    }
}

impl Drop for Viewers {
    /// Ends the channels, and so their steps; the sessions go on. The engine's folder is not used any more then.
    fn drop(&mut self) {
        std::mem::take(&mut *lock(&self.ports)).into_iter().for_each(Connection::end);
        let seats = self.terminals.clear();
        seats.iter().for_each(|seat| seat.viewer.end());
        for seat in seats {
            let _ = seat.thread.join();
        }
    }
}

impl Viewer {
    /// False when the other end takes no more.
    fn send(&self, frame: &Frame) -> bool {
        lock(&self.stream).write_all(&frame.bytes()).is_ok()
    }

    fn end(&self) {
        self.gone.store(true, Ordering::SeqCst);
        // Either end may be closed already.
        let _ = self.handle.shutdown(Shutdown::Both);
    }
}

impl Place {
    fn of(shared: &Shared, id: AttemptId) -> Result<Place, EngineError> {
        let none = || EngineError::Refused(format!("attempt {id} is no session that runs here"));
        let folder = shared.files.attempt(id).dir;
        let order = shared.lock().open(id).map(|open| Arc::clone(&open.order)).ok_or_else(none)?;
        if !folder.join(KEYS).exists() {
            return Err(none());
        }
        let user = shared.users.of(&order).map_err(EngineError::Refused)?;
        let read = |error| EngineError::file("attempt", &folder)(error);
        let claim = shared.files.claim(id).map_err(read)?.ok_or_else(none)?;
        let output = Output::of(&shared.files, id, Stream::Stdout)?;
        Ok(Place { id, job: claim.job.ok_or_else(none)?, folder, output, user })
    }

    /// Starts a script beside the session, as the user that runs it.
    pub(super) fn start(&self, shared: &Shared, script: &str, arguments: &[&str]) -> io::Result<Child> {
        shared.client.start(self.user.as_deref(), "srun", &self.step(script, arguments))
    }

    /// The arguments of `srun` for a script on the session's node, beside what runs there.
    pub(super) fn step(&self, script: &str, arguments: &[&str]) -> Vec<String> {
        let folder = self.folder.display().to_string();
        let job = format!("--jobid={}", self.job);
        let beside = ["--overlap", "--nodes=1", "--ntasks=1", "--mem=0", "--gres=none", "--unbuffered", "--quiet"];
        let run = ["--input=0", "bash", "-c", script, "huisuan", &folder];
        [&[&*job], &beside[..], &run, arguments].concat().into_iter().map(str::to_owned).collect()
    }

    /// How the session ended, as shells count it, once its record is there.
    fn exit(&self, shared: &Shared) -> Option<i32> {
        for _ in 0..END_WITHIN.as_millis() / LOOK.as_millis() {
            match shared.files.exit(self.id).ok().flatten().map(|exit| exit.how) {
                Some(ExitKind::Exited { exit_code, signal, .. }) => {
                    return Some(exit_code.or(signal.map(|signal| 128 + signal)).unwrap_or_default());
                }
                Some(ExitKind::StartFailed(_) | ExitKind::Lost { .. }) => return Some(127),
                None if shared.stopped() => return None,
                None => shared.pause(LOOK),
            }
        }
        None
    }
}

/// Serves one channel until its viewer goes or its session ends.
fn serve(shared: &Shared, place: &Place, viewer: &Viewer, mut step: Child) {
    let keys = step.stdin.take().expect("standard input is a pipe");
    let (resize, sizes) = channel();
    thread::scope(|scope| {
        let windows = thread::Builder::new().name("session-window".into());
        let windows = windows.spawn_scoped(scope, move || set_windows(shared, place, viewer, &sizes));
        let typing = thread::Builder::new().name("session-keys".into());
        let typing = typing.spawn_scoped(scope, move || {
            // A stream that ends or breaks is a viewer who left; the step ends with its input.
            let _ = type_in(viewer, keys, &resize);
            viewer.gone.store(true, Ordering::SeqCst);
        });
        if let Err(error) = windows.and(typing) {
            tracing::warn!(attempt = %place.id, %error, "a session cannot be served");
            viewer.end();
        }
        show(shared, place, viewer, &mut step);
        viewer.end();
        leave(&mut step);
    });
}

/// Lets a step go whose input is closed: it ends by itself, unless its node hangs.
pub(super) fn leave(step: &mut Child) {
    drop(step.stdin.take());
    for _ in 0..LEAVE_WITHIN.as_millis() / LOOK.as_millis() {
        if !matches!(step.try_wait(), Ok(None)) {
            return;
        }
        thread::park_timeout(LOOK);
    }
    // One of another user's it is not ours to end, and it is not waited for.
    if step.kill().is_ok() {
        let _ = step.wait();
    }
}

fn type_in(viewer: &Viewer, mut keys: ChildStdin, resize: &Sender<(u16, u16)>) -> io::Result<()> {
    each_frame(&viewer.handle, |frame| match frame {
        Frame::Data(bytes) => keys.write_all(&bytes),
        Frame::End => keys.write_all(&[END_OF_INPUT]),
        Frame::Resize { rows, columns } => {
            // Nobody listens where no thread could be had: the window stays as it is.
            let _ = resize.send((rows, columns));
            Ok(())
        }
        Frame::Ready | Frame::Exited(_) | Frame::Refused(_) | Frame::Ping => Ok(()),
    })
}

/// Sets the window to what was asked for last, by a step of its own.
fn set_windows(shared: &Shared, place: &Place, viewer: &Viewer, sizes: &Receiver<(u16, u16)>) {
    while let Ok(size) = sizes.recv() {
        let (rows, columns) = sizes.try_iter().last().unwrap_or(size);
        for _ in 0..WINDOW_TRIES {
            let step = place.step(WINDOW, &[&rows.to_string(), &columns.to_string()]);
            let answer = shared.client.call_as(place.user.as_deref(), "srun", &step);
            if answer.success || viewer.gone.load(Ordering::SeqCst) || shared.stopped() {
                break;
            }
            tracing::debug!(attempt = %place.id, why = answer.stderr, "window of a session cannot be set");
            shared.pause(LOOK);
        }
    }
}

/// Gives the viewer what the step reads, and in the end the rest of the output and the exit code.
fn show(shared: &Shared, place: &Place, viewer: &Viewer, step: &mut Child) {
    let mut output = BufReader::new(step.stdout.take().expect("standard output is a pipe"));
    // A controller that does not answer keeps a step waiting for as long as it likes.
    let first = first_line_within(&mut output, shared.client.timeout, &shared.stop);
    let from = first.ok().and_then(|first| first.parse::<u64>().ok());
    let mut next = from.unwrap_or_default();
    if from.is_some() && viewer.send(&Frame::Ready) {
        let mut piece = vec![0; PAYLOAD_BYTES_MAX];
        while let Ok(read @ 1..) = output.read(&mut piece) {
            next += read as u64;
            if !viewer.send(&Frame::Data(piece[..read].to_vec())) {
                return;
            }
        }
    }
    if viewer.gone.load(Ordering::SeqCst) {
        return;
    }
    let Some(code) = place.exit(shared) else {
        viewer.send(&Frame::Refused("the way to the session's node is broken; hint: attach again".to_owned()));
        return;
    };
    if from.is_none() {
        viewer.send(&Frame::Ready);
    }
    // The step ended with the job, and may not have read all of it.
    let mut piece = vec![0; PAYLOAD_BYTES_MAX];
    if let Ok(Some(file)) = place.output.open() {
        while let Ok(read @ 1..) = file.read_at(&mut piece, next) {
            next += read as u64;
            viewer.send(&Frame::Data(piece[..read].to_vec()));
        }
    }
    viewer.send(&Frame::Exited(code));
}
