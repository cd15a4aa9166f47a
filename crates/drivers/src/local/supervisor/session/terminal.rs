//! A terminal between its process and whoever is attached.
//!
//! One thread reads what the process writes, appends it to the attempt's output and then gives the attached viewer all
//! that it has not seen of that file. A viewer that reads slowly so holds up the process, as a slow line always did,
//! and nothing piles up here; without a viewer everything goes to the file alone.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::{fs::FileExt as _, net::UnixStream},
    },
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use huisuan_model::channel::{Frame, PAYLOAD_BYTES_MAX};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{Winsize, tcgetwinsize, tcsetwinsize},
};

use crate::local::supervisor::{shared::lock, worker::new_waker};

/// What was written before somebody attached again and is shown to him, in bytes. Who attaches first sees all of it.
const SCROLLBACK_BYTES: u64 = 16 * 1024;

/// How long more is waited for after the process has ended, and how much is read then, in bytes: what it left behind
/// may hold the terminal.
const DRAIN: Duration = Duration::from_millis(500);
const DRAIN_BYTES: usize = 1 << 20;

/// The character that says to a terminal that there is no more input.
const END_OF_INPUT: u8 = 4;

/// One session's terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    master: File,
    /// The attempt's output.
    output: File,
    /// Tells the serving thread that something has changed.
    waker: OwnedFd,
    seat: Mutex<Seat>,
    /// Held by the thread that gives somebody the rest and the end.
    parting: Mutex<()>,
    viewer_last: AtomicU64,
    /// The length of the output.
    written: AtomicU64,
    exit: OnceLock<i32>,
}

/// The place of who is attached.
#[derive(Debug, Default)]
struct Seat {
    viewer: Option<Viewer>,
    /// Nobody serves the terminal any more: who comes now is given the rest and the end by the thread that brings it.
    over: bool,
}

/// Who is attached.
#[derive(Debug)]
struct Viewer {
    number: u64,
    stream: Arc<Mutex<UnixStream>>,
    /// The same stream, to end it while somebody writes to it.
    handle: UnixStream,
    /// The first byte of the output that it has not been given.
    next: u64,
    /// Nothing of a broken line has to be left out any more.
    at_line: bool,
}

impl Terminal {
    pub(crate) fn new(master: File, output: File) -> Self {
        Terminal {
            master,
            output,
            waker: new_waker(),
            seat: Mutex::default(),
            parting: Mutex::default(),
            viewer_last: AtomicU64::new(0),
            written: AtomicU64::new(0),
            exit: OnceLock::new(),
        }
    }

    /// Makes this stream the viewer, in place of another; its number. Of a process that has ended it is given what it
    /// wrote and how it ended, as if it had come in time.
    pub(crate) fn attach(&self, stream: &UnixStream) -> io::Result<u64> {
        let number = self.viewer_last.fetch_add(1, Ordering::Relaxed) + 1;
        let written = self.written.load(Ordering::SeqCst);
        let next = if number == 1 { 0 } else { written.saturating_sub(SCROLLBACK_BYTES) };
        let viewer = Viewer {
            number,
            stream: Arc::new(Mutex::new(stream.try_clone()?)),
            handle: stream.try_clone()?,
            next,
            at_line: next == 0,
        };
        let (former, over) = {
            let mut seat = lock(&self.seat);
            (seat.viewer.replace(viewer), seat.over)
        };
        if let Some(former) = former {
            former.end("somebody else is attached to this session now");
        }
        if over {
            self.part();
        } else {
            self.wake();
        }
        Ok(number)
    }

    /// This viewer has gone.
    pub(crate) fn detach(&self, number: u64) {
        let mut seat = lock(&self.seat);
        if seat.viewer.as_ref().is_some_and(|viewer| viewer.number == number) {
            seat.viewer = None;
        }
    }

    /// What was typed. Waits while the terminal takes nothing.
    pub(crate) fn type_in(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.master).write_all(bytes)
    }

    /// There is no more to be typed.
    pub(crate) fn end_input(&self) -> io::Result<()> {
        self.type_in(&[END_OF_INPUT])
    }

    /// The viewer's window has this size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let window = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let former = tcgetwinsize(&self.master).map(|former| (former.ws_row, former.ws_col));
        // A program learns of a viewer by a size that changes: one that is the same is made another one first.
        if former == Ok((rows, columns)) && rows > 1 {
            self.set_window(Winsize { ws_row: rows - 1, ..window });
        }
        self.set_window(window);
    }

    fn set_window(&self, window: Winsize) {
        if let Err(error) = tcsetwinsize(&self.master, window) {
            tracing::debug!(%error, "window of a terminal cannot be set");
        }
    }

    /// The process has ended, with this exit code as shells count it.
    pub(crate) fn finish(&self, exit: i32) {
        let _ = self.exit.set(exit);
        self.wake();
    }

    fn wake(&self) {
        // The counter of an eventfd holds 2^64 - 2 wishes; it cannot be full.
        let _ = rustix::io::write(&self.waker, &1u64.to_ne_bytes());
    }

    /// Serves the terminal until its process has ended and all that it wrote was given away.
    pub(crate) fn serve(&self) {
        let mut piece = vec![0; PAYLOAD_BYTES_MAX];
        let (mut open, mut left) = (true, None);
        loop {
            if self.exit.get().is_some() {
                left = left.or(Some(DRAIN_BYTES));
            }
            if left == Some(0) || (left.is_some() && !open) {
                break;
            }
            let (readable, woken) = self.wait(open, left.map(|_| DRAIN));
            if readable {
                match (&self.master).read(&mut piece) {
                    Ok(read) if read > 0 => {
                        self.record(&piece[..read]);
                        left = left.map(|left| left.saturating_sub(read));
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // EIO: nobody has the other end open any more.
                    _ => open = false,
                }
            } else if left.is_some() && !woken {
                break;
            }
            self.show(&mut piece);
        }
        lock(&self.seat).over = true;
        self.part();
    }

    /// Gives who is attached the rest of the output, and the end.
    fn part(&self) {
        let _turn = lock(&self.parting);
        self.show(&mut vec![0; PAYLOAD_BYTES_MAX]);
        let viewer = lock(&self.seat).viewer.take();
        if let Some(viewer) = viewer {
            let exit = Frame::Exited(self.exit.get().copied().unwrap_or_default());
            // A viewer that has gone needs no word.
            let _ = lock(&viewer.stream).write_all(&exit.bytes());
            let _ = viewer.handle.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Waits for something to read, and for somebody who wakes this thread; which of the two came.
    fn wait(&self, open: bool, time: Option<Duration>) -> (bool, bool) {
        let timeout = time.and_then(|time| Timespec::try_from(time).ok());
        let mut fds = [PollFd::new(&self.waker, PollFlags::IN), PollFd::new(&self.master, PollFlags::IN)];
        let watched = if open { &mut fds[..] } else { &mut fds[..1] };
        if let Err(error) = poll(watched, timeout.as_ref())
            && error != rustix::io::Errno::INTR
        {
            panic!("poll of two valid descriptors failed: {error}");
        }
        let (woken, readable) = (!fds[0].revents().is_empty(), open && !fds[1].revents().is_empty());
        if woken {
            let _ = rustix::io::read(&self.waker, &mut [0u8; 8]);
        }
        (readable, woken)
    }

    /// Appends to the attempt's output. What the disk does not take is shown and not kept.
    fn record(&self, bytes: &[u8]) {
        let written = self.written.load(Ordering::SeqCst);
        match self.output.write_all_at(bytes, written) {
            Ok(()) => self.written.store(written + bytes.len() as u64, Ordering::SeqCst),
            Err(error) => {
                tracing::warn!(%error, "output of a session cannot be written");
                let stream = lock(&self.seat).viewer.as_ref().map(|viewer| (viewer.number, Arc::clone(&viewer.stream)));
                if let Some((number, stream)) = stream {
                    self.send(number, &stream, bytes);
                }
            }
        }
    }

    /// Gives the viewer what it has not seen. Waits while it takes nothing.
    fn show(&self, piece: &mut [u8]) {
        loop {
            let written = self.written.load(Ordering::SeqCst);
            let (number, stream, next, at_line) = match &lock(&self.seat).viewer {
                Some(viewer) if viewer.next < written => {
                    (viewer.number, Arc::clone(&viewer.stream), viewer.next, viewer.at_line)
                }
                _ => return,
            };
            // What the session itself has cut from its output is not shown.
            let most = usize::try_from(written - next).unwrap_or(usize::MAX).min(piece.len());
            let read = self.output.read_at(&mut piece[..most], next).unwrap_or(0);
            let shown = &piece[..read];
            let line = if at_line { Some(0) } else { shown.iter().position(|&byte| byte == b'\n').map(|at| at + 1) };
            let sent = line.is_none_or(|from| self.send(number, &stream, &shown[from..]));
            if let Some(viewer) = lock(&self.seat).viewer.as_mut().filter(|viewer| sent && viewer.number == number) {
                viewer.next = if read == 0 { written } else { next + read as u64 };
                viewer.at_line |= line.is_some() || viewer.next == written;
            }
        }
    }

    /// Sends data to a viewer; false, and it is one no more, when it has gone.
    fn send(&self, number: u64, stream: &Mutex<UnixStream>, bytes: &[u8]) -> bool {
        let sent = lock(stream).write_all(&Frame::Data(bytes.to_vec()).bytes());
        if sent.is_err() {
            self.detach(number);
        }
        sent.is_ok()
    }
}

impl Viewer {
    /// Ends it and says why, unless it takes nothing at the moment.
    fn end(self, why: &str) {
        if let Ok(stream) = self.stream.try_lock() {
            let _ = stream.set_nonblocking(true);
            let _ = (&*stream).write_all(&Frame::Refused(why.to_owned()).bytes());
        }
        // Whoever writes to it at the moment is told by an error.
        let _ = self.handle.shutdown(std::net::Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::supervisor::session::start::open_terminal;
    use huisuan_model::channel::Frames;

    /// All frames that somebody gets who attaches when `serve` has returned.
    fn late(wrote: &[u8], exit: i32) -> Vec<Frame> {
        let (master, mut slave) = open_terminal().expect("a terminal");
        let terminal = Terminal::new(master, tempfile::tempfile().expect("a file"));
        slave.write_all(wrote).expect("a terminal takes it");
        drop(slave);
        terminal.finish(exit);
        terminal.serve();
        let (near, mut far) = UnixStream::pair().expect("a pair");
        terminal.attach(&near).expect("it is told");
        drop(near);
        let (mut bytes, mut frames) = (Vec::new(), Frames::default());
        far.read_to_end(&mut bytes).expect("an end");
        frames.push(&bytes);
        std::iter::from_fn(|| frames.take().expect("frames")).collect()
    }

    #[test]
    fn who_comes_when_the_process_has_ended_is_told_all_the_same() {
        assert_eq!(late(b"quick", 5), [Frame::Data(b"quick".to_vec()), Frame::Exited(5)]);
        assert_eq!(late(b"", 0), [Frame::Exited(0)]);
    }
}
