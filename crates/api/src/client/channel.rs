//! One end of a channel: a stream to read from, and posts that bring bytes.

use std::{io::Read, thread, time::Duration};

use super::{ANSWER_WITHIN, Client, ClientError, Wait, address::path};
use crate::{
    channels::{CHANNEL_BYTES_MAX, ChannelOpened, ChannelOrder, ChannelRequest, ChannelTaken},
    routes::{self, ChannelQuery},
};

/// How often bytes are sent again when the way broke; the server knows what it has.
const TRIES: u32 = 3;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(200);

/// One end of a channel. Clones share it; one of them receives, one sends.
#[derive(Debug, Clone)]
pub struct Channel {
    client: Client,
    path: String,
    secret: String,
    /// Bytes that were sent and taken.
    sent: u64,
}

impl Client {
    /// Opens a channel into a session that runs.
    pub fn open_channel(&self, job_id: u64, request: &ChannelRequest) -> Result<Channel, ClientError> {
        let job = job_id.to_string();
        let opened: ChannelOpened = self.post_json(&path(routes::JOB_CHANNELS, &[("id", &job)]), request)?;
        let path = path(routes::JOB_CHANNEL, &[("id", &job), ("channel", &opened.channel.to_string())]);
        Ok(Channel { client: self.clone(), path, secret: opened.secret, sent: 0 })
    }
}

impl super::AgentClient {
    /// The agent's end of a channel.
    pub fn channel(&self, order: &ChannelOrder) -> Channel {
        let path = path(&self.path(routes::AGENT_CHANNEL), &[("channel", &order.channel.to_string())]);
        Channel { client: self.client.clone(), path, secret: order.secret.clone(), sent: 0 }
    }
}

impl Channel {
    /// What the other end sends, as it comes; it ends when the channel ends. It can be asked for once.
    pub fn receive(&self) -> Result<Box<dyn Read + Send>, ClientError> {
        let headers = [(routes::CHANNEL_SECRET, &*self.secret)];
        let answer = self.client.send_get(&self.path, &(), &headers, Wait::Stream)?;
        Ok(Box::new(answer.into_body().into_reader()))
    }

    /// Sends whole frames; returns when the server has all of them, which waits for the other end to read.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let end = self.sent + bytes.len() as u64;
        while self.sent < end {
            let left = usize::try_from(end - self.sent).unwrap_or(usize::MAX).min(bytes.len());
            let rest = &bytes[bytes.len() - left..];
            let taken = self.post(&rest[..rest.len().min(CHANNEL_BYTES_MAX)], false)?;
            self.sent = taken.clamp(self.sent, end);
        }
        Ok(())
    }

    /// Tells that nothing more comes from this end.
    pub fn end(&mut self) -> Result<(), ClientError> {
        self.post(&[], true).map(drop)
    }

    fn post(&self, bytes: &[u8], end: bool) -> Result<u64, ClientError> {
        let query = ChannelQuery { offset: self.sent, end };
        let headers = [("content-type", "application/octet-stream"), (routes::CHANNEL_SECRET, &*self.secret)];
        for left in (0..TRIES).rev() {
            let sent = self.client.send_post(&self.path, &query, &headers, bytes, ANSWER_WITHIN);
            match sent.and_then(|answer| self.client.read::<ChannelTaken>(answer)) {
                Err(error) if left > 0 && error.problem().is_none() => {
                    #[expect(clippy::disallowed_methods, reason = "a retry pause: nothing tells when the way is back")]
                    thread::sleep(PAUSE);
                }
                answer => return answer.map(|answer| answer.taken),
            }
        }
        unreachable!("the last try gives its answer")
    }
}
