//! Every answer that says no.

use std::any::Any;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hostler_core::code::{Code, Rejection};
use hostler_core::engine::Refused;
use hostler_store as store;
use hostler_wire::json::Problem;
use hostler_wire::json::problem::MEDIA_TYPE;

/// A problem on its way out.
#[derive(Debug)]
pub struct Fault(pub Box<Problem>);

impl Fault {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Fault(Box::new(Problem::new(code, detail)))
    }

    pub fn field(code: Code, field: &str, detail: impl Into<String>) -> Self {
        Rejection::field(code, field, detail).into()
    }
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        Fault(Box::new(rejection.into()))
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Rejected(rejection) => rejection.into(),
            Refused::Unavailable => {
                Fault::new(Code::Unavailable, "the store cannot be used; nothing was changed")
            }
            Refused::Unknown => Fault::new(
                Code::Internal,
                "the store did not say whether it wrote; \
                 repeat the request with the same idempotency key",
            ),
        }
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        tracing::error!(error = crate::driver::chain(&error), "the store failed a read");
        Fault::new(Code::Unavailable, "the store cannot be read")
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Fault(Box::new(problem))
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.0.retryable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The answer when a handler panicked: a bug, told without its text.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Fault::new(Code::Internal, "the server found a bug in itself; its log says more")
        .into_response()
}
