//! Why a call did not succeed.

use crate::problem::Problem;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address or token cannot be used.
    #[error("server address: {0}")]
    Address(String),
    /// Nobody answers.
    #[error("server `{url}`: cannot connect: {what}")]
    Connection {
        /// The base URL.
        url: String,
        /// What the system said.
        what: String,
    },
    /// No answer in time.
    #[error("server `{url}`: no answer in time: {what}")]
    Timeout {
        /// The base URL.
        url: String,
        /// What was waited for.
        what: String,
    },
    /// The server refused.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The answer is not one of a Huisuan server.
    #[error("server `{url}`: the answer is not understood: {what}")]
    Answer {
        /// The base URL.
        url: String,
        /// What is wrong with it.
        what: String,
    },
}

impl ClientError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            ClientError::Address(_) => "use --server http://HOST:PORT".to_owned(),
            ClientError::Connection { .. } => {
                "is a server running? start one with `huisuan demo`, or name it with --server URL".to_owned()
            }
            ClientError::Timeout { .. } => "the server may be busy; `huisuan doctor` looks at it".to_owned(),
            ClientError::Problem(problem) => problem.hint.clone(),
            ClientError::Answer { .. } => "is this the port of a Huisuan server of the same version?".to_owned(),
        }
    }

    /// The exit code of the command line that goes with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Address(_) => 2,
            ClientError::Connection { .. } | ClientError::Answer { .. } => 1,
            ClientError::Timeout { .. } => 8,
            ClientError::Problem(problem) => problem.code.exit_code(),
        }
    }

    /// True when the same call may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            ClientError::Connection { .. } | ClientError::Timeout { .. } => true,
            ClientError::Problem(problem) => problem.code.retryable(),
            ClientError::Address(_) | ClientError::Answer { .. } => false,
        }
    }

    /// The server's problem, where it is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}
