//! Errors on the wire: RFC 9457 problem details with a stable code and a hint.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a [`Problem`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, in a word that never changes. Each has an HTTP status and an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request is not well formed: a header, a query or a body that cannot be read.
    BadRequest,
    /// A field that nobody knows; never ignored, because it may be a misspelt wish.
    UnknownField,
    /// A field has a value that is never legal.
    InvalidSpec,
    /// Legal, but no centre of this network can ever run it.
    NeverFits,
    /// Legal, but this version cannot run it yet.
    NotSupported,
    /// There is no such job, task, centre or route.
    NotFound,
    /// The idempotency key was used for another job spec.
    KeyReused,
    /// The idempotency key is empty, too long or not printable ASCII.
    KeyMalformed,
    /// The request does not fit the present state.
    Conflict,
    /// The tenant cannot pay for it.
    Budget,
    /// The body is larger than the server reads.
    TooLarge,
    /// The tenant has as many jobs that have not ended as it may.
    TooMany,
    /// No token, or one that nobody knows.
    Unauthenticated,
    /// The token is known and does not allow this.
    Forbidden,
    /// The route exists, not with this method.
    MethodNotAllowed,
    /// A fault of the server.
    Internal,
    /// The server starts, stops or has more to do than it can take; try again.
    Unavailable,
    /// The agent speaks for a server run that is over; it must say hello again.
    StaleEpoch,
}

impl ErrorCode {
    /// All codes in their fixed order.
    pub const ALL: [ErrorCode; 18] = [
        ErrorCode::BadRequest,
        ErrorCode::UnknownField,
        ErrorCode::InvalidSpec,
        ErrorCode::NeverFits,
        ErrorCode::NotSupported,
        ErrorCode::NotFound,
        ErrorCode::KeyReused,
        ErrorCode::KeyMalformed,
        ErrorCode::Conflict,
        ErrorCode::Budget,
        ErrorCode::TooLarge,
        ErrorCode::TooMany,
        ErrorCode::Unauthenticated,
        ErrorCode::Forbidden,
        ErrorCode::MethodNotAllowed,
        ErrorCode::Internal,
        ErrorCode::Unavailable,
        ErrorCode::StaleEpoch,
    ];

    /// One row a code: word, HTTP status, exit code of the command line, title, what to do about it.
    fn row(self) -> (&'static str, u16, u8, &'static str, &'static str) {
        match self {
            ErrorCode::BadRequest => {
                ("bad-request", 400, 2, "the request cannot be read", "compare it with GET /v1/openapi.json")
            }
            ErrorCode::UnknownField => {
                ("unknown-field", 400, 2, "a field is unknown", "check its spelling, or take it out")
            }
            ErrorCode::InvalidSpec => ("invalid-spec", 422, 2, "the job spec is not legal", "change the named field"),
            ErrorCode::NeverFits => (
                "never-fits",
                422,
                3,
                "no centre can ever run this",
                "ask for less, or see `huisuan centre ls` for what there is",
            ),
            ErrorCode::NotSupported => ("not-supported", 422, 3, "this cannot be run yet", "take the named field out"),
            ErrorCode::NotFound => {
                ("not-found", 404, 5, "there is no such thing", "see `huisuan ls` or `huisuan centre ls`")
            }
            ErrorCode::KeyReused => {
                ("key-reused", 409, 6, "the idempotency key belongs to another job", "use a new key for a new job")
            }
            ErrorCode::KeyMalformed => {
                ("key-malformed", 400, 2, "the idempotency key is malformed", "use 1 to 255 printable ASCII characters")
            }
            ErrorCode::Conflict => (
                "conflict",
                409,
                6,
                "the request does not fit the present state",
                "look at the state first, then ask again",
            ),
            ErrorCode::Budget => (
                "budget",
                402,
                7,
                "the budget does not pay for this",
                "give the job a larger budget, or ask for less walltime",
            ),
            ErrorCode::TooLarge => {
                ("too-large", 413, 2, "the request is too large", "put large input into files, not into the job")
            }
            ErrorCode::TooMany => (
                "too-many",
                429,
                7,
                "the tenant has too many jobs",
                "wait until some have ended, or ask the operator for a higher limit",
            ),
            ErrorCode::Unauthenticated => {
                ("unauthenticated", 401, 4, "a valid token is needed", "set HUISUAN_TOKEN or --token")
            }
            ErrorCode::Forbidden => {
                ("forbidden", 403, 4, "the token does not allow this", "ask the operator for the right")
            }
            ErrorCode::MethodNotAllowed => {
                ("method-not-allowed", 405, 1, "the route has no such method", "compare it with GET /v1/openapi.json")
            }
            ErrorCode::Internal => {
                ("internal", 500, 1, "the server has a fault", "give the request id to the operator")
            }
            ErrorCode::Unavailable => {
                ("unavailable", 503, 1, "the server cannot take this now", "try again in a moment")
            }
            ErrorCode::StaleEpoch => {
                ("stale-epoch", 409, 6, "the agent speaks for an earlier server run", "say hello again")
            }
        }
    }

    /// The word used in JSON, metrics and docs.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// The exit code of the command line that goes with it.
    pub fn exit_code(self) -> u8 {
        self.row().2
    }

    /// A short fact for people; the same for every problem of this code.
    pub fn title(self) -> &'static str {
        self.row().3
    }

    /// What to do about it, where a problem has no better hint.
    pub fn hint(self) -> &'static str {
        self.row().4
    }

    /// True when the same request may succeed later without anybody changing it.
    pub fn retryable(self) -> bool {
        matches!(self, ErrorCode::TooMany | ErrorCode::Internal | ErrorCode::Unavailable)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The body of every answer that is an error (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:huisuan:error:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same short fact for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, with names and numbers.
    pub detail: String,
    /// The stable code.
    pub code: ErrorCode,
    /// What to do about it.
    pub hint: String,
    /// Names the request in the server's log.
    pub request_id: String,
}

impl Problem {
    /// A problem with the hint of its code and no request id yet.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Problem {
            kind: format!("urn:huisuan:error:{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            hint: code.hint().to_owned(),
            request_id: String::new(),
        }
    }

    /// The same problem with a better hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_written_as_its_word() {
        let mut words = BTreeSet::new();
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).expect("JSON"), code.as_str());
            assert!(words.insert(code.as_str()), "{code} is there twice");
            assert!((400..600).contains(&code.status()), "{code}");
            assert!([1, 2, 3, 4, 5, 6, 7].contains(&code.exit_code()), "{code}");
            assert!(!code.title().is_empty() && !code.hint().is_empty(), "{code}");
        }
    }

    #[test]
    fn a_problem_says_what_and_what_to_do() {
        let problem = Problem::new(ErrorCode::NotFound, "job 7 is not known").with_hint("see `huisuan ls`");
        assert_eq!(problem.to_string(), "not-found: job 7 is not known");
        let json = serde_json::to_value(&problem).expect("JSON");
        assert_eq!(json["type"], "urn:huisuan:error:not-found");
        assert_eq!((&json["status"], &json["hint"]), (&404.into(), &"see `huisuan ls`".into()));
    }
}
