//! How a command ends when it does not end well: one line of error, one line of hint, one exit code.

use std::{fmt, io};

/// Exit codes, as documented in `huisuan --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something went wrong that has no code of its own.
    Error = 1,
    /// The command line or a file is not as it should be.
    Usage = 2,
    /// No centre can ever run it.
    Infeasible = 3,
    /// No token, or the wrong one.
    Authentication = 4,
    /// There is no such thing.
    NotFound = 5,
    /// It contradicts what is there.
    Conflict = 6,
    /// Money or quota does not reach.
    Budget = 7,
    /// Time was over.
    Timeout = 8,
    /// The job ended and did not succeed.
    JobFailed = 10,
    /// Somebody pressed Ctrl-C.
    Interrupted = 130,
    /// The reader of standard output went away; nobody needs to be told.
    PipeClosed = 141,
}

impl Exit {
    /// The meaning of a code that the API gives; unknown ones are plain errors.
    pub(crate) fn of_code(code: u8) -> Exit {
        let known = [Exit::Usage, Exit::Infeasible, Exit::Authentication, Exit::NotFound, Exit::Conflict];
        let known = known.into_iter().chain([Exit::Budget, Exit::Timeout, Exit::JobFailed]);
        known.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Exit::Error)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What happened, in one line.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The same call may succeed later.
    pub(crate) retryable: bool,
}

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Failure { exit, message: message.to_string(), hint: None, retryable: false }
    }

    /// Adds the hint.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(action: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Failure::new(Exit::Error, format!("{} cannot be {action}: {error}", path.display()))
            .hint("check the path and its permissions")
    }

    /// The two lines for standard error.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("error: {}\n", one_line(&self.message));
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {}\n", one_line(hint)));
        }
        text
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::PipeClosed, "standard output was closed"),
            _ => Failure::new(Exit::Error, error),
        }
    }
}

/// Errors of a server that does not start.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::new(Exit::Error, format!("{error:#}")).hint(huisuan_server::hint_of(&error))
    }
}

/// Turns clap's message into our two lines; `help` is the command that helps where clap has no tip.
pub(crate) fn usage(error: &clap::Error, help: &str) -> Failure {
    let text = error.render().to_string();
    let mut blocks = text.split("\n\n");
    let message = blocks.next().unwrap_or_default().trim_start_matches("error: ");
    let mut hint = None;
    for block in blocks {
        let block = block.trim();
        if let Some(tip) = block.strip_prefix("tip: ") {
            hint = Some(tip.split("\n  tip: ").next().unwrap_or(tip).to_owned());
        } else if let Some(usage) = block.strip_prefix("Usage: ")
            && hint.is_none()
        {
            let lines: Vec<&str> = usage.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            hint = Some(format!("usage: {}", lines.join("  or  ")));
        }
    }
    Failure {
        exit: Exit::Usage,
        message: message.to_owned(),
        hint: hint.or_else(|| Some(format!("see `{help}`"))),
        retryable: false,
    }
}

/// One line of plain text: line breaks become spaces, other control characters are dropped, so that a
/// text from elsewhere cannot steer the terminal.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_two_lines_whatever_it_says() {
        let failure = Failure::new(Exit::Error, "first\nsecond \u{1b}[31mred").hint("do\r\nthis");
        assert_eq!(failure.render(), "error: first second [31mred\nhint: do this\n");
        assert_eq!(Failure::new(Exit::Error, "plain").render(), "error: plain\n");
    }

    #[test]
    fn a_closed_pipe_is_told_from_other_errors() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit, Exit::PipeClosed);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::NotFound)).exit, Exit::Error);
    }
}
