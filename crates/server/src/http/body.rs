//! What comes in, parsed: bodies, queries and ids, each with an error that names what was wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use hostler_core::code::Code;
use hostler_core::limits;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use crate::depth::nesting;

/// A JSON body. Unknown fields are refused by its type (API-1).
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        parse(&read(request, state).await?).map(Json)
    }
}

/// A JSON body, or none: that is the same as an empty object.
pub struct JsonOrNothing<T>(pub T);

impl<T, S> FromRequest<S> for JsonOrNothing<T>
where
    T: DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let bytes = read(request, state).await?;
        match bytes.trim_ascii().is_empty() {
            true => Ok(JsonOrNothing(T::default())),
            false => parse(&bytes).map(JsonOrNothing),
        }
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Fault> {
    check_media_type(request.headers())?;
    Bytes::from_request(request, state).await.map_err(|rejection| {
        match rejection.status().as_u16() {
            413 => Fault::new(
                Code::BodyTooLarge,
                format!("the body is over {} bytes", limits::BODY_BYTES_MAX),
            ),
            _ => Fault::new(Code::InvalidBody, "the body could not be read to its end"),
        }
    })
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Fault> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.unwrap_or("application/json").split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    if essence == "application/json" || essence.ends_with("+json") {
        return Ok(());
    }
    let text = format!("the media type {essence:?} is not read here; allowed: application/json");
    Err(Fault::new(Code::UnsupportedMediaType, text))
}

/// One JSON value and nothing after it, of bounded depth.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    check_depth(bytes)?;
    // A list would be read as the fields in their order, which is no part of the contract.
    if bytes.trim_ascii_start().first().is_some_and(|byte| *byte == b'[') {
        return Err(Fault::new(
            Code::InvalidBody,
            "invalid request body: a list; an object is read",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let detail = format!("invalid request body: {}", error.inner());
        match field.as_str() {
            field if error.inner().is_data() && field != "." => {
                Fault::field(Code::InvalidBody, field, detail)
            }
            // The text itself is broken: no field is to blame.
            _ => Fault::new(Code::InvalidBody, detail),
        }
    })?;
    reader
        .end()
        .map_err(|_| Fault::new(Code::InvalidBody, "invalid request body: text after its end"))?;
    Ok(value)
}

/// Refuses nesting over the limit before anything is built from it (ACC-8).
fn check_depth(bytes: &[u8]) -> Result<(), Fault> {
    if nesting(bytes) <= limits::PAYLOAD_DEPTH_MAX {
        return Ok(());
    }
    let text = format!("the body is nested deeper than {} levels", limits::PAYLOAD_DEPTH_MAX);
    Err(Fault::new(Code::InvalidBody, text))
}

/// A query string. Unknown parameters are refused by its type.
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(query) => Ok(Query(query.0)),
            Err(rejection) => {
                let text = format!("invalid query: {}", source_text(&rejection));
                Err(Fault::new(Code::InvalidField, text))
            }
        }
    }
}

/// The innermost text of an error: the others say where in our code it was.
fn source_text(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// An id of a path; a text that is none names nothing.
pub fn id<T: std::str::FromStr>(text: &str, code: Code, noun: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::new(code, format!("there is no {noun} {text:?}")))
}

/// The `Idempotency-Key` header, when it is there (ACC-4).
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        let text = "the header Idempotency-Key holds more than visible ASCII";
        Fault::field(Code::InvalidField, "idempotency_key", text)
    })?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// The key of a request that may come in the body or in the header: not two different ones.
pub fn one_key(body: Option<String>, headers: &HeaderMap) -> Result<Option<String>, Fault> {
    match (body, idempotency_key(headers)?) {
        (Some(body), Some(header)) if body.trim() != header => Err(Fault::field(
            Code::InvalidField,
            "idempotency_key",
            "the body and the header Idempotency-Key name different keys",
        )),
        (body, header) => Ok(body.or(header)),
    }
}

/// The rows of a page: 1 to the most allowed.
pub fn limit(given: Option<u32>) -> Result<usize, Fault> {
    match given {
        None => Ok(limits::PAGE_DEFAULT),
        Some(rows) if rows >= 1 && rows as usize <= limits::PAGE_MAX => Ok(rows as usize),
        Some(rows) => Err(Fault::field(
            Code::InvalidField,
            "limit",
            format!("invalid limit: {rows}; allowed: 1 to {}", limits::PAGE_MAX),
        )),
    }
}

/// Where a page starts: what the `next_cursor` of the page before names.
pub fn cursor<T: std::str::FromStr>(given: Option<&str>) -> Result<Option<T>, Fault> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let text = format!("invalid cursor: {text:?}; allowed: the next_cursor of a page");
        Fault::field(Code::InvalidField, "cursor", text)
    })
}
