//! Problems: every answer that says no (RFC 9457).

use std::fmt;

use hostler_core::code::{Code, Rejection};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{redact, status};

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused or failed; the media type is `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The page that explains the code, on the same server.
    #[schema(example = "/errors/invalid_field")]
    pub r#type: String,
    /// What the code means; the same for every problem with it.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// What was wrong this time, and what is allowed.
    pub detail: String,
    /// Stable: branch on this one.
    #[schema(example = "invalid_field")]
    pub code: String,
    /// The field of the request, as a path (`policy.security`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Names this request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The same request may succeed later.
    pub retryable: bool,
    pub changed: Changed,
}

/// Whether a refused request changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// Nothing was changed.
    No,
    /// It is not known: repeat it with the same idempotency key, or look.
    Maybe,
}

impl Changed {
    pub fn as_str(self) -> &'static str {
        match self {
            Changed::No => "no",
            Changed::Maybe => "maybe",
        }
    }
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem {
            r#type: format!("/errors/{code}"),
            title: status::title(code).to_owned(),
            status: status::http(code).as_u16(),
            // It may repeat what was sent (STR-5).
            detail: redact::copy(&detail.into()),
            code: code.as_str().to_owned(),
            field: None,
            request_id: None,
            retryable: status::retry(code),
            changed: status::changed(code),
        }
    }

    /// The code, when this build knows it.
    pub fn known_code(&self) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == self.code)
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let Rejection { code, message, field } = rejection;
        let field = field.map(|field| redact::copy(&field));
        Problem { field, ..Problem::new(code, message) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}
