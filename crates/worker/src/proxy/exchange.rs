//! # One request through the proxy
//!
//! **What** Checks the request's target, rewrites its headers, sends it upstream, and hands the
//! response back.
//!
//! **Invariants** The address asked for is the upstream's base followed by the request's path
//! and query, and is checked to have kept the base's scheme, host, port and path.
//!
//! **Failure** Every error is a response.
//!
//! **Not here** Sockets and connections (`proxy`).

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use reqwest::Url;

use super::{BODY_BYTES_MAX, Credential, Upstream};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two pieces of a response. Providers send pings while a model thinks.
const READ_TIMEOUT: Duration = Duration::from_secs(15 * 60);

type Outgoing = BoxBody<Bytes, reqwest::Error>;

/// Headers about one connection, which a proxy keeps to itself.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What an agent may have been given to prove itself with, and what names another host.
const REPLACED: [HeaderName; 6] = [
    header::AUTHORIZATION,
    // The body's real length is the client's to say.
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("x-api-key"),
];

#[derive(Debug)]
pub(super) struct Exchange {
    client: reqwest::Client,
    base: Url,
    credential: Option<(HeaderName, HeaderValue)>,
}

impl Exchange {
    pub(super) fn new(upstream: &Upstream) -> io::Result<Exchange> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let base_url = &upstream.base_url;
        let base = Url::parse(base_url)
            .map_err(|error| invalid(format!("upstream address {base_url:?}: {error}")))?;
        let plain = base.query().is_none() && base.fragment().is_none();
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() || !plain {
            return Err(invalid(format!("upstream address {base_url:?}: not http(s)://host/path")));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(invalid("upstream address: must not hold a credential".to_owned()));
        }
        let credential = match &upstream.credential {
            Credential::None => None,
            Credential::Header { name, value } => {
                let name: HeaderName =
                    name.parse().map_err(|_| invalid(format!("credential header {name:?}")))?;
                // The value is not for error messages.
                let mut value: HeaderValue = value
                    .parse()
                    .map_err(|_| invalid(format!("the value of the credential header {name}")))?;
                value.set_sensitive(true);
                Some((name, value))
            }
        };
        // An error says that another part of the process has installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT);
        if is_local(&base) {
            // A proxy for the way out would look for this host's loopback on its own.
            client = client.no_proxy();
        }
        let client = client.build().map_err(io::Error::other)?;
        Ok(Exchange { client, base, credential })
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Outgoing> {
        match self.forward(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.response(),
        }
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Outgoing>, Refusal> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::CONNECT {
            return Err(Refusal::forbidden("this proxy does not open tunnels"));
        }
        let url = self.address(&parts.uri)?;
        let headers = self.headers(&parts.headers);
        let mut builder = self.client.request(parts.method, url).headers(headers);
        if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
            return Err(Refusal::too_large());
        }
        if !body.is_end_stream() {
            builder = builder.body(reqwest::Body::wrap(Limited::new(body, BODY_BYTES_MAX)));
        }
        let response = builder.send().await.map_err(|error| Refusal::upstream(&error))?;

        let status = response.status();
        let mut outgoing = Response::builder().status(status);
        if let Some(headers) = outgoing.headers_mut() {
            *headers = end_to_end(response.headers());
        }
        let frames = response.bytes_stream().map_ok(Frame::data);
        let body = BodyExt::boxed(StreamBody::new(frames));
        Ok(outgoing.body(body).expect("made of a response's own parts"))
    }

    /// The upstream's address for a request target, in origin form (`/v1/messages`) or absolute.
    fn address(&self, target: &Uri) -> Result<Url, Refusal> {
        let path = target.path();
        if !path.starts_with('/') || path.split(['/', '\\']).any(is_dots) {
            return Err(Refusal::bad_request("the request's path"));
        }
        let before = self.base.path().trim_end_matches('/');
        let mut url = self.base.clone();
        // These keep scheme, host and port, whatever the text is.
        url.set_path(&format!("{before}{path}"));
        url.set_query(target.query());
        let kept = url.origin() == self.base.origin() && url.path().starts_with(before);
        if kept { Ok(url) } else { Err(Refusal::bad_request("the request's path")) }
    }

    fn headers(&self, given: &HeaderMap) -> HeaderMap {
        let mut headers = end_to_end(given);
        for name in REPLACED {
            headers.remove(name);
        }
        if let Some((name, value)) = &self.credential {
            headers.insert(name, value.clone());
        }
        headers
    }
}

/// A path segment that means another folder, also when it is encoded.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    let plain = plain.split("%2f").flat_map(|part| part.split("%5c"));
    plain.into_iter().any(|part| part == "." || part == "..")
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Headers meant for the other end, without those the sender named as the connection's own.
fn end_to_end(given: &HeaderMap) -> HeaderMap {
    let mut headers = given.clone();
    for named in given.get_all(header::CONNECTION) {
        for name in named.to_str().unwrap_or_default().split(',') {
            headers.remove(name.trim());
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}

/// A response made here.
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refusal {
    fn bad_request(what: &str) -> Refusal {
        Refusal {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            message: format!("the worker's model proxy does not forward {what}"),
        }
    }

    fn forbidden(text: &str) -> Refusal {
        Refusal {
            status: StatusCode::FORBIDDEN,
            kind: "permission_error",
            message: text.to_owned(),
        }
    }

    fn too_large() -> Refusal {
        let megabytes = BODY_BYTES_MAX >> 20;
        Refusal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            kind: "request_too_large",
            message: format!("the worker's model proxy forwards up to {megabytes} MiB"),
        }
    }

    fn upstream(error: &reqwest::Error) -> Refusal {
        let mut text = String::new();
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(one) = cause {
            if one.is::<LengthLimitError>() {
                return Refusal::too_large();
            }
            text.push_str(": ");
            text.push_str(&one.to_string());
            cause = one.source();
        }
        Refusal {
            status: StatusCode::BAD_GATEWAY,
            kind: "api_error",
            message: format!("the worker cannot reach the model{text}"),
        }
    }

    fn response(self) -> Response<Outgoing> {
        let error = serde_json::json!({ "type": self.kind, "message": self.message });
        let body = format!(r#"{{"type":"error","error":{error}}}"#);
        let body = Full::from(body).map_err(|never| match never {}).boxed();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(base_url: &str) -> Exchange {
        let upstream = Upstream { base_url: base_url.to_owned(), credential: Credential::None };
        Exchange::new(&upstream).expect("valid")
    }

    #[test]
    fn every_target_is_below_the_base() {
        let below = |base: &str, target: &str| {
            let target: Uri = target.parse().ok()?;
            exchange(base).address(&target).ok().map(|url| url.to_string())
        };
        let plain = "https://model.example";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(below(plain, "/v1/a?b=c"), some("https://model.example/v1/a?b=c"));
        assert_eq!(below(plain, "http://evil.example/x"), some("https://model.example/x"));
        assert_eq!(below(plain, "http://u:p@evil.example:1/"), some("https://model.example/"));
        assert_eq!(below(plain, "//evil.example/x"), some("https://model.example//evil.example/x"));
        assert_eq!(below(plain, "/@evil.example/x"), some("https://model.example/@evil.example/x"));
        let deep = "https://gateway.example:8443/anthropic/";
        assert_eq!(below(deep, "/v1/a"), some("https://gateway.example:8443/anthropic/v1/a"));
        for outside in
            ["/../x", "/a/../../x", "/%2e%2e/x", "/.%2E/x", "/a/..", "/..%2fx", "/%2e%2e%5cx", "*"]
        {
            assert_eq!(below(deep, outside), None, "{outside}");
        }
    }

    #[test]
    fn an_upstream_that_is_none_is_refused() {
        for base_url in ["", "ftp://a", "model.example", "https://u:p@a", "https://a/?x=y"] {
            let upstream = Upstream { base_url: base_url.to_owned(), credential: Credential::None };
            assert!(Exchange::new(&upstream).is_err(), "{base_url}");
        }
    }

    #[test]
    fn a_credential_is_not_printed() {
        let value = "secret".to_owned();
        let credential = Credential::Header { name: "x-api-key".to_owned(), value };
        let upstream = Upstream { base_url: "https://a".to_owned(), credential };
        let exchange = Exchange::new(&upstream).expect("valid");
        assert!(!format!("{upstream:?} {exchange:?}").contains("secret"));
    }
}
