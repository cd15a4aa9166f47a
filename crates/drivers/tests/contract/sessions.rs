//! Sessions of the local engine, at the stream that speaks frames.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use huisuan_drivers::EngineError;
use huisuan_model::{
    AttemptId, ChannelTarget, EndCause, JobSpec, Stream,
    channel::{Frame, Frames, PAYLOAD_BYTES_MAX},
    spec::{JobKind, Work},
};

use crate::bench::{Bench, PATIENCE, id, task};

fn session(words: &[&str]) -> Arc<JobSpec> {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    let mut spec = JobSpec::command("session", &["true"]);
    (spec.kind, spec.work) = (JobKind::Session, Work::Command(words));
    Arc::new(spec)
}

/// Whoever is attached.
pub(crate) struct Viewer {
    stream: UnixStream,
    frames: Frames,
}

impl Viewer {
    pub(crate) fn of(bench: &Bench, attempt: AttemptId) -> Viewer {
        Viewer::at(bench, attempt, ChannelTarget::Terminal)
    }

    pub(crate) fn at(bench: &Bench, attempt: AttemptId, target: ChannelTarget) -> Viewer {
        let stream = bench.engine.attach(attempt, target).expect("a session that runs");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut viewer = Viewer { stream, frames: Frames::default() };
        assert_eq!(viewer.next(), Some(Frame::Ready));
        viewer
    }

    /// The next frame; `None` at the end.
    fn next(&mut self) -> Option<Frame> {
        self.next_after("")
    }

    /// The same; in place of a frame that does not come, what came before is shown.
    fn next_after(&mut self, seen: &str) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.take().expect("frames") {
                return Some(frame);
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece).unwrap_or_else(|error| panic!("no frame ({error}) after:\n{seen}")) {
                0 => return None,
                read => self.frames.push(&piece[..read]),
            }
        }
    }

    fn says(&mut self, frame: &Frame) {
        self.stream.write_all(&frame.bytes()).expect("it is read");
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.says(&Frame::Data(text.into()));
    }

    /// Reads until a text has come; all that came.
    pub(crate) fn sees(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            match self.next_after(&seen) {
                Some(Frame::Data(bytes)) => seen.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?} instead of `{text}` after:\n{seen}"),
            }
        }
        seen
    }

    /// Sends bytes and reads as many.
    pub(crate) fn echoes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut back = Vec::with_capacity(bytes.len());
        let mut sends = self.stream.try_clone().expect("a handle");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for piece in bytes.chunks(PAYLOAD_BYTES_MAX) {
                    sends.write_all(&Frame::Data(piece.to_vec()).bytes()).expect("it is read");
                }
            });
            while back.len() < bytes.len() {
                match self.next() {
                    Some(Frame::Data(piece)) => back.extend(piece),
                    other => panic!("{other:?} after {} bytes", back.len()),
                }
            }
        });
        back
    }

    /// What came when the session or the channel ended.
    pub(crate) fn end(&mut self) -> Option<Frame> {
        self.rest().1
    }

    /// The same, and how many bytes came before.
    pub(crate) fn rest(&mut self) -> (usize, Option<Frame>) {
        let mut bytes = 0;
        loop {
            match self.next() {
                Some(Frame::Data(piece)) => bytes += piece.len(),
                other => return (bytes, other),
            }
        }
    }
}

/// Waits until the session has written a text.
fn wrote(bench: &mut Bench, attempt: AttemptId, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let written = bench.engine.logs(attempt, Stream::Stdout, 0, 1 << 20).expect("output").data;
        if String::from_utf8_lossy(&written).contains(text) {
            return;
        }
        assert!(Instant::now() < deadline, "`{text}` was not written");
        let new = bench.engine.observe(Duration::from_millis(20)).expect("observed");
        bench.reports.extend(new);
    }
}

/// Starts a session and attaches to it.
pub(crate) fn begun(bench: &mut Bench, job: u64, words: &[&str]) -> (AttemptId, Viewer) {
    let attempt = id(job, 0);
    bench.submit(&[task(job, 0, &session(words))]);
    bench.started(attempt);
    (attempt, Viewer::of(bench, attempt))
}

pub(crate) fn a_terminal_controls_its_process_and_tells_its_end(mut bench: Bench) {
    let (attempt, mut viewer) = begun(&mut bench, 1, &["/bin/sh"]);
    viewer.says(&Frame::Resize { rows: 31, columns: 97 });
    viewer.types("test -t 0 && test -t 2 && echo is-$((40 + 2)); ps -o tty= -p $$\n");
    let mut seen = viewer.sees("is-42\r\n");
    viewer.types("until stty size </dev/tty | grep '31 97'; do sleep 0.1; done\n");
    seen += &viewer.sees("31 97\r\n");
    assert!(seen.contains("pts/"), "{seen}");
    viewer.types("exit 9\n");
    assert_eq!(viewer.end(), Some(Frame::Exited(9)));
    let end = bench.end(attempt);
    assert_eq!((end.outcome.cause, end.outcome.exit_code), (EndCause::Exited, Some(9)));
    assert!(bench.stdout(attempt).contains("is-42"), "its output is kept as that of any attempt");
    let gone = bench.engine.attach(attempt, ChannelTarget::Terminal);
    assert!(matches!(gone, Err(EngineError::Refused(_))), "{gone:?}");
}

pub(crate) fn a_session_goes_on_unseen_and_shows_what_it_wrote(mut bench: Bench) {
    let (attempt, mut viewer) = begun(&mut bench, 1, &["/bin/sh"]);
    viewer.types("echo one-$((1 + 1))\n");
    viewer.sees("one-2\r\n");
    viewer
        .types("sleep 0.3; echo unseen-$((1 + 1)); head -c 100000 /dev/zero | tr '\\0' '\\n'; echo last-$((1 + 1))\n");
    drop(viewer);
    wrote(&mut bench, attempt, "last-2");
    let mut again = Viewer::of(&bench, attempt);
    let seen = again.sees("last-2\r\n");
    assert!(seen.len() < 20_000 && !seen.contains("unseen-2"), "the last of it: {} bytes", seen.len());
    let mut third = Viewer::of(&bench, attempt);
    assert!(matches!(again.end(), Some(Frame::Refused(why)) if why.contains("somebody else")));
    third.types("exit\n");
    assert_eq!(third.end(), Some(Frame::Exited(0)));
    bench.end(attempt);
}

pub(crate) fn who_is_told_to_end_is_told_as_terminals_tell_it(mut bench: Bench) {
    // An interactive shell ignores SIGTERM.
    let (attempt, mut viewer) = begun(&mut bench, 1, &["/bin/bash", "--norc", "--noprofile", "-i"]);
    viewer.types("echo here-$((1 + 1))\n");
    viewer.sees("here-2\r\n");
    bench.engine.cancel(&[attempt]).expect("told");
    assert_eq!(viewer.end(), Some(Frame::Exited(129)));
    let end = bench.end(attempt);
    assert_eq!((end.outcome.cause, end.outcome.signal), (EndCause::Cancelled, Some(1)));
}

pub(crate) fn what_is_no_frame_ends_the_channel_and_not_the_session(mut bench: Bench) {
    let (attempt, mut viewer) = begun(&mut bench, 1, &["/bin/sh"]);
    viewer.stream.write_all(&[77, 255, 255, 255, 255, 0]).expect("it is read");
    assert_eq!(viewer.end(), None);
    let mut again = Viewer::of(&bench, attempt);
    again.says(&Frame::End);
    assert_eq!(again.end(), Some(Frame::Exited(0)), "a shell ends when there is no more input");
    bench.end(attempt);
}

/// What every engine with sessions promises of them, on benches that an expression makes.
macro_rules! contract {
    ($bench:expr) => {
        $crate::sessions::contract! { $bench,
            a_terminal_controls_its_process_and_tells_its_end a_session_goes_on_unseen_and_shows_what_it_wrote
            who_is_told_to_end_is_told_as_terminals_tell_it what_is_no_frame_ends_the_channel_and_not_the_session }
    };
    ($bench:expr, $($name:ident)+) => {
        $(#[test]
        fn $name() {
            $crate::sessions::$name($bench);
        })+
    };
}
pub(crate) use contract;

mod local {
    super::contract!(crate::bench::Bench::local());
}

#[test]
fn only_sessions_have_terminals_and_only_their_own_ports() {
    let mut bench = Bench::local();
    let batch = id(1, 0);
    bench.submit(&[task(1, 0, &Arc::new(JobSpec::command("batch", &["sleep", "60"])))]);
    bench.started(batch);
    let refused = |attempt, target, words: &str| {
        let error = bench.engine.attach(attempt, target).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(batch, ChannelTarget::Terminal, "no session");
    refused(id(9, 0), ChannelTarget::Terminal, "no session");
    bench.engine.cancel(&[batch]).expect("told");
    bench.end(batch);
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = foreign.local_addr().expect("an address").port();
    let (attempt, _viewer) = begun(&mut bench, 2, &["sleep", "60"]);
    let error = bench.engine.attach(attempt, ChannelTarget::Port(port)).expect_err("not its own").to_string();
    assert!(error.contains("no process of this session"), "{error}");
    bench.engine.cancel(&[attempt]).expect("told");
    bench.end(attempt);
}
