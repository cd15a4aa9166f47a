//! The agent's end of a channel: between the server and the engine that keeps the session. It passes bytes on.

use std::{
    io::{self, Read as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use huisuan_api::{AgentClient, Channel, ClientError, channels::ChannelOrder};
use huisuan_drivers::Engine;
use huisuan_model::channel::{Frame, FrameError, PAYLOAD_BYTES_MAX, whole};

/// The most channels that an agent serves at once, two threads each.
const CHANNELS_MAX: usize = 256;

/// What is read from the engine before it is sent, in bytes: the more at once, the less a distant server costs.
const READ_BYTES: usize = PAYLOAD_BYTES_MAX + 1024;

/// The channels of one agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channels {
    open: Arc<AtomicUsize>,
}

/// Why a channel broke.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Server(#[from] ClientError),
    #[error("engine: {0}")]
    Engine(#[from] io::Error),
    #[error("engine: {0}")]
    Frame(#[from] FrameError),
}

impl Channels {
    /// Opens this end on a thread of its own, or says that the site does not allow it.
    pub(crate) fn open(&self, client: &AgentClient, engine: &Arc<dyn Engine>, order: ChannelOrder, allowed: bool) {
        let (channel, engine, open) = (client.channel(&order), Arc::clone(engine), Arc::clone(&self.open));
        let refusal = match open.fetch_add(1, Ordering::SeqCst) {
            _ if !allowed => Some("the site's own rules allow no sessions".to_owned()),
            CHANNELS_MAX.. => Some(format!("this centre serves {CHANNELS_MAX} channels already")),
            _ => None,
        };
        let counted = Arc::clone(&open);
        let serve = move || {
            if let Err(error) = serve(channel, engine.as_ref(), &order, refusal) {
                // Whoever attached went away, or attaches again.
                tracing::debug!(channel = order.channel, %error, "channel ended");
            }
            open.fetch_sub(1, Ordering::SeqCst);
        };
        if let Err(error) = thread::Builder::new().name("channel".into()).spawn(serve) {
            counted.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(%error, "channel cannot be served");
        }
    }
}

fn serve(
    mut channel: Channel,
    engine: &dyn Engine,
    order: &ChannelOrder,
    refusal: Option<String>,
) -> Result<(), Broken> {
    let attached = match refusal {
        Some(why) => Err(why),
        None => engine.attach(order.attempt, order.target).map_err(|error| error.to_string()),
    };
    let stream = match attached {
        Ok(stream) => stream,
        Err(why) => {
            channel.send(&Frame::Refused(why).bytes())?;
            return Ok(channel.end()?);
        }
    };
    let mut inward = channel.receive()?;
    thread::scope(|scope| {
        let outward = thread::Builder::new().name("channel-out".into()).spawn_scoped(scope, || {
            let copied = outward(&stream, &mut channel);
            // Either way the channel is over: the server then ends the other direction.
            let ended = channel.end();
            copied.and(ended.map_err(Broken::from))
        })?;
        let copied = io::copy(&mut inward, &mut &stream);
        // Who reads from the engine finds its end.
        let _ = stream.shutdown(Shutdown::Both);
        let sent = outward.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        copied?;
        sent
    })
}

/// Sends what the engine says in whole frames, until it says no more.
fn outward(mut stream: &UnixStream, channel: &mut Channel) -> Result<(), Broken> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; READ_BYTES]);
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..read]);
        let ready = whole(&bytes)?;
        if ready > 0 {
            channel.send(&bytes[..ready])?;
            bytes.drain(..ready);
        }
    }
}
