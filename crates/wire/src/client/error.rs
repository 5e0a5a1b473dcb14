//! What can go wrong with a call.

use std::error::Error;
use std::fmt;

use http::StatusCode;

use crate::json::Problem;
use crate::status::{self, Exit};

/// Why a call had no good answer. Its text never repeats its source: who prints a chain of causes
/// prints each once.
#[derive(Debug)]
pub enum ClientError {
    /// The server said no.
    Problem(Box<Problem>),
    /// The server could not be reached: nothing was sent.
    Connect(reqwest::Error),
    /// The connection broke, or was silent for too long: whether the request was carried out is
    /// not known.
    Broken(reqwest::Error),
    /// The answer is not what the contract promises: something else listens there, or the two
    /// versions do not fit.
    Answer { status: StatusCode, what: String, source: Option<serde_json::Error> },
    /// A frame of the event stream is longer than any server sends.
    Overlong,
    /// The address, the token or an id cannot be put into a request.
    Request(String),
}

impl ClientError {
    /// Trying the same again can help; after [`ClientError::Broken`] only with the same
    /// idempotency key.
    pub fn is_retryable(&self) -> bool {
        match self {
            ClientError::Problem(problem) => problem.retryable,
            ClientError::Connect(_) | ClientError::Broken(_) => true,
            ClientError::Answer { status, .. } => status.is_server_error(),
            ClientError::Overlong | ClientError::Request(_) => false,
        }
    }

    /// How a command ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            ClientError::Problem(problem) => match problem.known_code() {
                Some(code) => status::exit(code),
                // A newer server: its status tells the family.
                None => match problem.status {
                    401 | 403 => Exit::Refused,
                    404 => Exit::NotFound,
                    409 => Exit::Conflict,
                    400..=428 => Exit::Usage,
                    _ => Exit::Unavailable,
                },
            },
            ClientError::Request(_) => Exit::Usage,
            ClientError::Connect(_)
            | ClientError::Broken(_)
            | ClientError::Answer { .. }
            | ClientError::Overlong => Exit::Unavailable,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Problem(problem) => problem.fmt(f),
            ClientError::Connect(error) => match error.url() {
                Some(url) => write!(f, "cannot reach {}", url.origin().ascii_serialization()),
                None => f.write_str("cannot reach the server"),
            },
            ClientError::Broken(error) if error.is_timeout() => {
                f.write_str("the server did not answer in time")
            }
            ClientError::Broken(_) => f.write_str("the connection to the server broke"),
            ClientError::Answer { status, what, source: _ } => {
                write!(f, "the server's answer ({status}) is not as expected: {what}")
            }
            ClientError::Overlong => f.write_str("the server sent an event that is too long"),
            ClientError::Request(what) => f.write_str(what),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ClientError::Connect(error) | ClientError::Broken(error) => Some(error),
            ClientError::Answer { source: Some(error), .. } => Some(error),
            ClientError::Answer { source: None, .. }
            | ClientError::Problem(_)
            | ClientError::Overlong
            | ClientError::Request(_) => None,
        }
    }
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        match error {
            error if error.is_builder() => ClientError::Request(format!("{error}")),
            error if error.is_connect() => ClientError::Connect(error),
            error => ClientError::Broken(error),
        }
    }
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        ClientError::Problem(Box::new(problem))
    }
}
