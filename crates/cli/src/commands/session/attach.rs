//! This terminal and the session's, until one of them ends.
//!
//! Threads: one reads keys, one hears of a new window size, one sends what both say, one reads what the session says;
//! this one writes that. What lies between them is bounded, so that a slow terminal slows the session and nothing else.

use std::{
    io::{self, Read, Write, stdin, stdout},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
    time::Duration,
};

use huisuan_api::{Channel, Client, channels::ChannelRequest};
use huisuan_model::channel::{Frame, Frames, PAYLOAD_BYTES_MAX};
use tokio::signal::unix::{SignalKind, signal};

use super::{escape::Escape, raw};
use crate::failure::{Failure, one_line};

/// Frames that wait to be sent, or to be written.
const FRAMES_WAITING: usize = 8;

/// How an attachment ended.
#[derive(Debug)]
pub(super) enum End {
    /// The session has ended, with this exit code.
    Exited(i32),
    /// Somebody typed `~.`.
    Detached,
    /// There is no way in.
    Refused(String),
    /// The way was taken away.
    Taken(String),
    /// The way broke.
    Lost(String),
}

/// What the thread that sends is given.
enum Said {
    Frame(Frame),
    /// Nothing comes after this: whoever waits for it is told when all before it is sent.
    Last(Sender<()>),
}

/// How long that may take before somebody who detaches is let go all the same.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// What the thread that writes hears.
enum Heard {
    Frame(Frame),
    End(End),
}

/// Attaches; `ready` is called when the session is there.
pub(super) fn attach(client: &Client, job: u64, ready: impl FnOnce()) -> Result<End, Failure> {
    let channel = client.open_channel(job, &ChannelRequest { port: None })?;
    let output = channel.receive()?;
    let (tell, heard) = sync_channel(FRAMES_WAITING);
    let (say, said) = sync_channel(FRAMES_WAITING);
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| thread::Builder::new().name(name.into()).spawn(work);
    let (telling, sending) = (tell.clone(), tell.clone());
    spawn("output", Box::new(move || pass_on(output, &telling)))?;
    spawn("send", Box::new(move || send(channel, &said, &sending)))?;
    let mut ready = Some(ready);
    // Whoever reads keys and sizes has nothing to do before the session is there.
    let begin = || -> io::Result<()> {
        raw::enter()?;
        let (sizes, keys) = (say.clone(), say.clone());
        if let Some(window) = raw::window() {
            // A sender that is gone has said why.
            let _ = say.send(Said::Frame(window));
            spawn("window", Box::new(move || windows(&sizes)))?;
        }
        let tell = tell.clone();
        spawn("keys", Box::new(move || read_keys(&keys, &tell))).map(drop)
    };
    for heard in heard.iter() {
        match heard {
            Heard::Frame(Frame::Ready) => {
                if let Some(ready) = ready.take() {
                    ready();
                    begin()?;
                }
            }
            Heard::Frame(Frame::Data(bytes)) => {
                let mut out = stdout().lock();
                out.write_all(&bytes)?;
                out.flush()?;
            }
            Heard::Frame(Frame::Exited(code)) => return Ok(End::Exited(code)),
            Heard::Frame(Frame::Refused(why)) => {
                let why = one_line(&why);
                return Ok(if ready.is_some() { End::Refused(why) } else { End::Taken(why) });
            }
            Heard::Frame(Frame::Ping | Frame::End | Frame::Resize { .. }) => {}
            Heard::End(end) => return Ok(end),
        }
    }
    Ok(End::Lost("nobody speaks any more".to_owned()))
}

/// Reads frames and passes them on until there are no more.
fn pass_on(mut output: impl Read, tell: &SyncSender<Heard>) {
    let end = each_frame(&mut output, |frame| tell.send(Heard::Frame(frame)).is_ok());
    let why = end.err().map_or_else(|| "it was closed".to_owned(), |error| error.to_string());
    // Whoever does not listen any more is ending already.
    let _ = tell.send(Heard::End(End::Lost(why)));
}

/// Calls `take` for each frame until it says no, or the stream ends.
pub(super) fn each_frame(from: &mut impl Read, mut take: impl FnMut(Frame) -> bool) -> io::Result<()> {
    let (mut frames, mut piece) = (Frames::default(), vec![0; PAYLOAD_BYTES_MAX]);
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => frames.push(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        while let Some(frame) = frames.take().map_err(io::Error::other)? {
            if !take(frame) {
                return Ok(());
            }
        }
    }
}

/// Sends what is said, as much as there is at once.
fn send(mut channel: Channel, said: &Receiver<Said>, tell: &SyncSender<Heard>) {
    while let Ok(first) = said.recv() {
        let (mut bytes, mut next, mut last) = (Vec::new(), Some(first), None);
        while let Some(said_next) = next.take() {
            match said_next {
                Said::Frame(frame) => frame.encode(&mut bytes),
                Said::Last(waiting) => last = Some(waiting),
            }
            if bytes.len() < PAYLOAD_BYTES_MAX {
                next = said.try_recv().ok();
            }
        }
        if let Err(error) = channel.send(&bytes) {
            // A channel that has ended says so by its stream, with more words: that comes first.
            if error.problem().is_none() {
                let _ = tell.send(Heard::End(End::Lost(error.to_string())));
            }
            return;
        }
        // Whoever waits no more has been let go.
        last.map(|waiting| waiting.send(()));
    }
}

/// Reads what is typed.
fn read_keys(say: &SyncSender<Said>, tell: &SyncSender<Heard>) {
    let (mut escape, mut piece) = (Escape::default(), vec![0; PAYLOAD_BYTES_MAX]);
    loop {
        let read = match stdin().lock().read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A terminal that is gone types no more.
            Ok(0) | Err(_) => return drop(say.send(Said::Frame(Frame::End))),
            Ok(read) => read,
        };
        let (typed, detach) = escape.typed(&piece[..read]);
        if !typed.is_empty() && say.send(Said::Frame(Frame::Data(typed))).is_err() {
            return;
        }
        if detach {
            let (done, all_sent) = channel();
            // Where nothing can be sent any more there is nothing to wait for.
            if say.try_send(Said::Last(done)).is_ok() {
                let _ = all_sent.recv_timeout(LAST_WITHIN);
            }
            return drop(tell.send(Heard::End(End::Detached)));
        }
    }
}

/// Tells of every new size of the window.
fn windows(say: &SyncSender<Said>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        // Without the handler the size stays the first one.
        let Ok(mut changed) = signal(SignalKind::window_change()) else { return };
        // One change may have come before the handler was there.
        loop {
            let told = raw::window().is_none_or(|window| say.send(Said::Frame(window)).is_ok());
            if !told || changed.recv().await.is_none() {
                return;
            }
        }
    });
}
