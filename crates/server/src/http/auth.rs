//! Who may ask (API-4): a bearer token, compared by its hash in constant time.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hostler_core::code::Code;
use subtle::ConstantTimeEq;
use utoipa::Modify;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::App;
use super::fault::Fault;

/// The hash of a token: the token itself is not kept.
#[derive(Clone, Copy, Debug)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        TokenHash(*blake3::hash(token.as_bytes()).as_bytes())
    }

    pub fn fits(&self, token: &str) -> bool {
        bool::from(self.0.ct_eq(&TokenHash::of(token).0))
    }

    /// Whether these headers carry the token.
    pub fn admits(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Err("no token; send it in the header `Authorization`, after the word `Bearer`");
        };
        let token = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match token {
            Some(token) if self.fits(token) => Ok(()),
            Some(_) => Err("the token is not valid here"),
            None => Err("the header Authorization is not `Bearer TOKEN`"),
        }
    }
}

/// Lets a request through that carries the token.
pub async fn require(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.token.admits(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => Fault::new(Code::Unauthenticated, why).into_response(),
    }
}

/// Names the scheme in the OpenAPI document.
pub struct Scheme;

impl Modify for Scheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", scheme);
        let requirement =
            utoipa::openapi::security::SecurityRequirement::new("token", Vec::<String>::new());
        document.security = Some(vec![requirement]);
    }
}
