//! Ways into sessions. A session is a pod whose container has a terminal: who attaches gets that terminal through the
//! API server and the pod's node (`pods/attach`), or a port of the pod (`pods/portforward`). The terminal is the
//! container's: it outlives every channel and every agent, and ends with the pod. Nothing is run in the pod for it, and
//! no word of a user is in a request.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use huisuan_model::{
    AttemptId, ChannelTarget,
    channel::{Frame, Frames, PAYLOAD_BYTES_MAX},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    output,
    shared::Shared,
    socket::{Received, Socket},
    state::PodReference,
};
use crate::{EngineError, viewers::Terminals};

/// Numbers of channels, of a terminal and of a port.
const INPUT: u8 = 0;
const ERROR_OF_TERMINAL: u8 = 3;
const WINDOW: u8 = 4;
const ERROR_OF_PORT: u8 = 1;
/// How much of what a session wrote before is shown to who attaches, in bytes.
const SHOWN: usize = 16 << 10;
/// How long the cluster may take to tell of the end of a container whose terminal has ended.
const END_WITHIN: Duration = Duration::from_secs(15);
/// How often it is looked whether the engine is still there.
const LOOK: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// How long is waited when there is more to read already.
const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// So many messages of the cluster are passed on before the other side is looked at.
const AT_A_TIME: usize = 64;
/// After so many looks without a word the way is shown to be in use: load balancers end connections that are idle.
const QUIET_LOOKS: u32 = 15;
/// The character that says to a terminal that there is no more input.
const END_OF_INPUT: u8 = 4;

/// Who is attached to the terminals of an engine: one at a time to each.
#[derive(Default)]
pub(super) struct Viewers(Terminals<Viewer>);

struct Viewer {
    stream: UnixStream,
    /// Somebody else has its place.
    replaced: AtomicBool,
}

/// Why a channel is over.
enum Over {
    /// Who was attached has gone, or says what is no frame.
    Viewer,
    /// The cluster ended it.
    Cluster,
}

impl Viewers {
    /// A stream of frames to the terminal of a session that runs, in place of whoever had it, or to a port of its pod.
    pub(super) fn attach(
        &self,
        shared: &Arc<Shared>,
        id: AttemptId,
        target: ChannelTarget,
    ) -> Result<UnixStream, EngineError> {
        let session = shared.state().look(id).filter(|look| look.session).and_then(|look| look.pod);
        let pod = session.ok_or_else(|| EngineError::Refused(format!("attempt {id} is no session that runs here")))?;
        let path = shared.pod_path(&pod.name);
        let path = match target {
            ChannelTarget::Terminal => format!("{path}/attach?container=task&stdin=true&stdout=true&tty=true"),
            ChannelTarget::Port(port) => format!("{path}/portforward?ports={port}"),
        };
        let socket = shared.client.socket(&path).map_err(|error| error.during("attaching to a pod"))?;
        let failed = |source| EngineError::Connection { doing: "attaching", source };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let viewer = Arc::new(Viewer { stream: ours, replaced: AtomicBool::new(false) });
        let shared = Arc::clone(shared);
        let serve = move |viewer: &Viewer| {
            let mut way = Way { shared: &shared, id, socket, viewer };
            // What breaks here is the way of one viewer, who sees that it ends.
            let _ = match target {
                ChannelTarget::Terminal => way.terminal(&pod),
                ChannelTarget::Port(port) => way.port(port),
            };
            way.socket.close();
            let _ = viewer.stream.shutdown(Shutdown::Both);
        };
        if let ChannelTarget::Port(_) = target {
            thread::Builder::new().name("kube-port".into()).spawn(move || serve(&viewer)).map_err(failed)?;
        } else if let Some(former) = self.0.seat(id, viewer, serve).map_err(failed)? {
            former.replaced.store(true, Ordering::SeqCst);
            let _ = former.stream.shutdown(Shutdown::Read);
        }
        Ok(theirs)
    }
}

impl Drop for Viewers {
    /// Ends the channels; the sessions go on.
    fn drop(&mut self) {
        for seat in self.0.clear() {
            let _ = seat.viewer.stream.shutdown(Shutdown::Both);
        }
    }
}

/// One channel while it is open.
struct Way<'a> {
    shared: &'a Shared,
    id: AttemptId,
    socket: Socket,
    viewer: &'a Viewer,
}

impl Way<'_> {
    fn say(&self, frame: &Frame) -> io::Result<()> {
        (&self.viewer.stream).write_all(&frame.bytes())
    }

    fn terminal(&mut self, pod: &PodReference) -> io::Result<()> {
        let before = output::tail(self.shared, pod, SHOWN);
        self.say(&Frame::Ready)?;
        self.say(&Frame::Data(before))?;
        let mut sized = false;
        let over = self.pass(
            |frame, socket| match frame {
                Frame::Data(bytes) => socket.send(INPUT, &bytes),
                Frame::End => socket.send(INPUT, &[END_OF_INPUT]),
                Frame::Resize { rows, columns } => {
                    // A program learns of a viewer by a size that changes, and shows itself anew.
                    if !std::mem::replace(&mut sized, true) {
                        socket.send(WINDOW, &window(if rows > 1 { rows - 1 } else { rows }, columns))?;
                    }
                    socket.send(WINDOW, &window(rows, columns))
                }
                Frame::Ready | Frame::Exited(_) | Frame::Refused(_) | Frame::Ping => Ok(()),
            },
            // What the node says of the end is said again, and better, by its pod.
            |channel, bytes| (channel != ERROR_OF_TERMINAL).then_some(Frame::Data(bytes)),
        )?;
        if self.viewer.replaced.load(Ordering::SeqCst) {
            return self.say(&Frame::Refused("somebody else is attached to this session now".to_owned()));
        }
        if matches!(over, Over::Viewer) {
            return Ok(());
        }
        let end = self.shared.end_of(self.id, END_WITHIN);
        let code = end.as_ref().and_then(|end| end.exit_code.or(end.signal.map(|signal| 128 + signal)));
        self.say(&match (code, end) {
            (Some(code), _) => Frame::Exited(code),
            (None, Some(end)) => Frame::Refused(format!("the session has ended: {}", end.detail)),
            (None, None) => Frame::Refused("the way to the session's pod is broken; hint: attach again".to_owned()),
        })
    }

    fn port(&mut self, port: u16) -> io::Result<()> {
        self.say(&Frame::Ready)?;
        // The first message of each channel is the number of the port.
        let mut begun = [false; 2];
        let mut why = Vec::new();
        self.pass(
            |frame, socket| match frame {
                Frame::Data(bytes) => socket.send(INPUT, &bytes),
                _ => Ok(()),
            },
            |channel, bytes| {
                let first = begun.get_mut(usize::from(channel)).is_some_and(|begun| !std::mem::replace(begun, true));
                if !first && channel == ERROR_OF_PORT {
                    why.extend(bytes);
                    return None;
                }
                (!first && channel == INPUT).then_some(Frame::Data(bytes))
            },
        )?;
        if why.is_empty() {
            return self.say(&Frame::End);
        }
        let why = String::from_utf8_lossy(&why).chars().take(300).collect::<String>();
        self.say(&Frame::Refused(format!("port {port} of this session takes no connection: {why}")))
    }

    /// Passes on what comes from either side until one of them ends.
    fn pass(
        &mut self,
        mut there: impl FnMut(Frame, &mut Socket) -> io::Result<()>,
        mut back: impl FnMut(u8, Vec<u8>) -> Option<Frame>,
    ) -> io::Result<Over> {
        let (mut frames, mut piece) = (Frames::default(), vec![0; PAYLOAD_BYTES_MAX]);
        let mut quiet = 0;
        loop {
            // A terminal may write without end: keys, and whoever takes the place, are still seen.
            let mut drained = false;
            for _ in 0..AT_A_TIME {
                match self.socket.receive()? {
                    Received::Bytes { channel, bytes } if bytes.is_empty() && channel != INPUT => {}
                    Received::Bytes { channel, bytes } => {
                        // Who does not listen any more may have typed before: that is still passed on, up to its end.
                        let _ = back(channel, bytes).map(|frame| self.say(&frame));
                    }
                    Received::Nothing => {
                        drained = true;
                        break;
                    }
                    Received::Closed => return Ok(Over::Cluster),
                }
            }
            let all_sent = self.socket.flush()?;
            let waiting = if all_sent { PollFlags::empty() } else { PollFlags::OUT };
            // Who types faster than the cluster takes it waits.
            let typing = if all_sent { PollFlags::IN } else { PollFlags::empty() };
            let mut both =
                [PollFd::new(&self.socket, PollFlags::IN | waiting), PollFd::new(&self.viewer.stream, typing)];
            quiet = match poll(&mut both, Some(if drained { &LOOK } else { &NO_TIME })) {
                Ok(0) if drained => quiet + 1,
                Ok(_) | Err(rustix::io::Errno::INTR) => 0,
                Err(error) => return Err(error.into()),
            };
            let typed = !both[1].revents().is_empty();
            if quiet == QUIET_LOOKS {
                quiet = 0;
                self.socket.ping()?;
            }
            if self.shared.stopped() {
                return Ok(Over::Viewer);
            }
            if typed {
                match (&self.viewer.stream).read(&mut piece) {
                    Ok(0) | Err(_) => return Ok(Over::Viewer),
                    Ok(read) => frames.push(&piece[..read]),
                }
                loop {
                    match frames.take() {
                        Ok(Some(frame)) => there(frame, &mut self.socket)?,
                        Ok(None) => break,
                        Err(_) => return Ok(Over::Viewer),
                    }
                }
            }
        }
    }
}

fn window(rows: u16, columns: u16) -> Vec<u8> {
    format!(r#"{{"Width":{columns},"Height":{rows}}}"#).into_bytes()
}
