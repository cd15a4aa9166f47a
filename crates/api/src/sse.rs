//! Reads Server-Sent Events from a body.

use std::io::{self, BufRead};

/// The longest event accepted, in bytes: a server is not trusted with this process's memory.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One event as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// The last `id:` seen, of this event or an earlier one.
    pub(crate) id: Option<String>,
    /// The `data:` lines joined by line feeds.
    pub(crate) data: String,
}

/// Splits a body into events.
pub(crate) struct Messages<R> {
    body: R,
    id: Option<String>,
}

impl<R: BufRead> Messages<R> {
    pub(crate) fn new(body: R) -> Self {
        Messages { body, id: None }
    }

    /// The next event with data; `None` at the end of the body. A last event without its empty line is
    /// dropped, as the standard demands: it may have been cut.
    pub(crate) fn next(&mut self) -> io::Result<Option<Message>> {
        let mut data: Option<String> = None;
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            if line.is_empty() {
                if let Some(data) = data.take() {
                    return Ok(Some(Message { id: self.id.clone(), data }));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => match &mut data {
                    Some(data) if data.len() + value.len() > EVENT_BYTES_MAX => return Err(too_long()),
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => data = Some(value.to_owned()),
                },
                "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
                _ => {}
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            let buffer = match self.body.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(None);
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            line.extend_from_slice(&buffer[..end.unwrap_or(taken)]);
            self.body.consume(taken);
            if line.len() > EVENT_BYTES_MAX {
                return Err(too_long());
            }
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an event is longer than 4 MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[(Option<&str>, &str)]) {
        for buffer_bytes in [1, 3, 4096] {
            let mut messages = Messages::new(io::BufReader::with_capacity(buffer_bytes, body.as_bytes()));
            let mut found = Vec::new();
            while let Some(message) = messages.next().expect("a body without faults") {
                found.push((message.id, message.data));
            }
            let expected: Vec<_> =
                expected.iter().map(|&(id, data)| (id.map(str::to_owned), data.to_owned())).collect();
            assert_eq!(found, expected, "{body:?} by {buffer_bytes}");
        }
    }

    #[test]
    fn events_are_split_at_empty_lines() {
        check("", &[]);
        check(": keep alive\n\n", &[]);
        check("id: 7\nevent: x\ndata: {}\n\n", &[(Some("7"), "{}")]);
        check("data:a\r\ndata: b\r\n\r\ndata: c\n\n", &[(None, "a\nb"), (None, "c")]);
        check("id: 1\ndata: a\n\ndata: b\n\n", &[(Some("1"), "a"), (Some("1"), "b")]);
        check("data: whole\n\ndata: cut", &[(None, "whole")]);
        check("data\n\n", &[(None, "")]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let body = [b"data: ".as_slice(), &vec![b'x'; EVENT_BYTES_MAX + 1]].concat();
        assert!(Messages::new(body.as_slice()).next().is_err());
    }
}
