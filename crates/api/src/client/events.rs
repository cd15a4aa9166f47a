//! The stream of events.

use std::io::{BufReader, Read};

use super::{Client, ClientError, request::Wait};
use crate::{events::EventView, routes, sse::Messages};

impl Client {
    /// Events after sequence `after`, or from now on; ends when the server ends.
    pub fn events(&self, after: Option<u64>) -> Result<Events, ClientError> {
        let query = routes::EventsQuery { after };
        let answer = self.send_get(routes::EVENTS, &query, &[("accept", "text/event-stream")], Wait::Stream)?;
        let body: Box<dyn Read + Send> = Box::new(answer.into_body().into_reader());
        Ok(Events { messages: Messages::new(BufReader::new(body)), url: self.base.clone(), last_id: None })
    }
}

/// Events as they come; see [`Client::events`].
pub struct Events {
    messages: Messages<BufReader<Box<dyn Read + Send>>>,
    url: String,
    last_id: Option<String>,
}

impl Events {
    /// The id of the last event, to go on from there after a break.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }
}

impl Iterator for Events {
    type Item = Result<EventView, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let url = || self.url.clone();
        let message = match self.messages.next() {
            Ok(message) => message?,
            Err(error) => return Some(Err(ClientError::Connection { url: url(), what: error.to_string() })),
        };
        self.last_id = message.id;
        Some(
            serde_json::from_str(&message.data)
                .map_err(|error| ClientError::Answer { url: self.url.clone(), what: error.to_string() }),
        )
    }
}
