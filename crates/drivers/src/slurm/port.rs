//! Ways to TCP ports of sessions: one step of the session's job for each connection (`srun --overlap`), in which bash
//! connects to the node's loopback address and passes bytes through. Nothing listens anywhere for it.

use std::{
    io::{self, BufReader, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::{Child, ChildStdin, ChildStdout},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use huisuan_model::channel::{Frame, PAYLOAD_BYTES_MAX};

use super::{
    client::{end, first_line_within},
    session::{Place, leave},
    shared::Shared,
};
use crate::{
    engine::EngineError,
    viewers::{each_frame, lock},
};

/// Connects to a port that a process of the session listens on, says so in its first line, or why not. Other ports of
/// the node are not the session's: its own services may trust whoever comes from the loopback address. Of the kernel's
/// tables the fields are: number, local address, other address, state (0A listens), queues, timer, retransmits, user,
/// timeout, inode; they are read by grep, because bash reads them byte by byte (20 s where there were many sockets).
const RELAY: &str = r#"printf -v port %04X "$2"
sockets=() address=
for table in tcp6 tcp; do
    while read -r _ _ _ _ _ _ _ _ _ inode _; do sockets[inode]=$table; done \
        < <(grep -E ":$port [0-9A-F]+:0000 0A " "/proc/net/$table" 2>/dev/null)
done
own=$(grep -lzxF "HUISUAN_ATTEMPT_DIR=$1" /proc/[0-9]*/environ 2>/dev/null)
for process in $own; do
    while read -r link; do
        link=${link#socket:[} link=${link%]}
        [[ -z $link || $link == *[!0-9]* ]] && continue
        case ${sockets[link]-} in tcp) address=127.0.0.1 ;; tcp6) address=${address:-::1} ;; esac
    done < <(readlink "${process%environ}fd/"* 2>/dev/null)
done
[ -n "$address" ] || { echo "no process of this session listens on port $2"; exit; }
{ exec 3<>"/dev/tcp/$address/$2"; } 2>/dev/null || { echo "port $2 of this session takes no connection"; exit; }
echo connected
cat <&0 >&3 &
cat <&3
kill "$!""#;

/// The first line of a connection.
const CONNECTED: &str = "connected";

/// A connection that is served.
#[derive(Debug)]
pub(super) struct Connection {
    handle: UnixStream,
    step: Arc<Mutex<Child>>,
    thread: JoinHandle<()>,
}

impl Connection {
    pub(super) fn over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it, whatever it waits for.
    pub(super) fn end(self) {
        let _ = self.handle.shutdown(Shutdown::Both);
        let _ = lock(&self.step).kill();
        let _ = self.thread.join();
    }
}

/// Opens a connection to a port of a session: its end for the agent, and what serves it.
pub(super) fn open(shared: &Shared, place: &Place, port: u16) -> Result<(UnixStream, Connection), EngineError> {
    let failed = |source| EngineError::Connection { doing: "attaching", source };
    let mut step = place.start(shared, RELAY, &[&port.to_string()]).map_err(failed)?;
    let mut output = BufReader::new(step.stdout.take().expect("standard output is a pipe"));
    let first = match first_line_within(&mut output, shared.client.timeout, &shared.stop) {
        Ok(first) => first,
        Err(error) => {
            end(step);
            let why = format!("the way to port {port} on the session's node is not there: {error}; hint: try again");
            return Err(EngineError::Refused(why));
        }
    };
    if first != CONNECTED {
        leave(&mut step);
        return Err(EngineError::Refused(match first.is_empty() {
            true => format!("the way to port {port} on the session's node is broken; hint: try again"),
            false => first,
        }));
    }
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let handle = ours.try_clone().map_err(failed)?;
    (&ours).write_all(&Frame::Ready.bytes()).map_err(failed)?;
    let (keys, step) = (step.stdin.take(), Arc::new(Mutex::new(step)));
    let served = Arc::clone(&step);
    let serve = move || serve(&served, keys, output, &ours);
    let thread = thread::Builder::new().name("session-port".into()).spawn(serve).map_err(failed)?;
    Ok((theirs, Connection { handle, step, thread }))
}

/// Serves one connection until either of its ends closes it.
fn serve(step: &Mutex<Child>, mut keys: Option<ChildStdin>, output: BufReader<ChildStdout>, stream: &UnixStream) {
    thread::scope(|scope| {
        let back = thread::Builder::new().name("session-port-out".into()).spawn_scoped(scope, || {
            // The connection ends as a whole when the session's side of it closes.
            let _ = copy_back(output, stream);
            let _ = stream.shutdown(Shutdown::Both);
        });
        if back.is_ok() {
            // A stream that ends or breaks is a viewer who left.
            let _ = each_frame(stream, |frame| match frame {
                Frame::Data(bytes) => keys.as_mut().map_or(Ok(()), |keys| keys.write_all(&bytes)),
                Frame::End => {
                    keys = None;
                    Ok(())
                }
                _ => Ok(()),
            });
        }
        let _ = stream.shutdown(Shutdown::Both);
        keys = None;
        leave(&mut lock(step));
    });
}

/// What the process of the session sends, until it sends no more.
fn copy_back(mut output: BufReader<ChildStdout>, mut stream: &UnixStream) -> io::Result<()> {
    let mut piece = vec![0; PAYLOAD_BYTES_MAX];
    loop {
        match output.read(&mut piece) {
            Ok(0) => return stream.write_all(&Frame::End.bytes()),
            Ok(read) => stream.write_all(&Frame::Data(piece[..read].to_vec()).bytes())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
