//! What agent and supervisor say to each other: one JSON value a line, a reply for each request.

use std::io::{self, BufRead, Read as _, Write};

use huisuan_model::{AttemptId, AttemptReport, ChannelTarget};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::config::SupervisorConfig;
use crate::{
    engine::{Held, SubmitResult},
    folder::batch::Batch,
};

/// The longest line either side reads: 10,000 orders of a job with the largest spec are far below it.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// What the agent asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// The first line of a connection.
    Hello {
        /// [`super::config::VERSION`] of the agent.
        version: u32,
        /// What the supervisor should be using.
        config: SupervisorConfig,
        /// True for the connection that reads reports: everything not acknowledged is given anew.
        observer: bool,
    },
    /// Take orders.
    Submit(Batch),
    /// Give reports.
    Observe {
        /// How long to wait for the first.
        wait_ms: u64,
    },
    /// Forget ends.
    Acknowledge(Vec<AttemptId>),
    /// End attempts.
    Cancel(Vec<AttemptId>),
    /// Tell whether an attempt is known.
    Known(AttemptId),
    /// Tell what there is.
    Held,
    /// Make this connection a channel into a session: after the answer it speaks frames.
    Attach {
        /// Which attempt runs it.
        attempt: AttemptId,
        /// What it leads to.
        target: ChannelTarget,
    },
    /// Tell again what became of attempts, as far as anything is known of them.
    Find(Vec<AttemptId>),
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Reply {
    /// To a hello.
    Welcome {
        /// [`super::config::VERSION`] of the supervisor.
        version: u32,
        /// How memory limits are kept.
        memory_mode: String,
    },
    /// To a submit, one for each order.
    Submitted(Vec<SubmitResult>),
    /// To an observe.
    Reports(Vec<AttemptReport>),
    /// To a held.
    Held(Held),
    /// To an acknowledge, cancel, find or attach.
    Done,
    /// To a known.
    Known(bool),
    /// The request was not done.
    Refused(String),
}

/// Writes one value as a line, in one call.
pub(crate) fn write_line<T: Serialize>(writer: &mut impl Write, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line)
}

/// Reads one line as a value; `None` at the end of the stream.
pub(crate) fn read_line<T: DeserializeOwned>(reader: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last line is cut off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_or_an_error() {
        let read = |mut text: &[u8]| read_line::<Vec<u32>>(&mut text);
        assert_eq!(read(b"").expect("the end"), None);
        assert_eq!(read(b"[1]\n[2]\n").expect("a line"), Some(vec![1]));
        assert!(read(b"[1]").is_err());
        assert!(read(b"{}\n").is_err());
    }
}
