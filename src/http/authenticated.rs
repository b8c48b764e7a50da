//! Extractor of the caller: the Bearer token of a request, verified, and its user let in; or a service key.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::{Problem, state};
use crate::app::{Actor, AppState, Caller, KeyCaller, authenticate};
use crate::auth::{Claims, ServiceKey, bearer};
use crate::domain::{Role, User};
use crate::protocol::{ApiError, Code};

/// The caller of a request. A handler with this parameter is never reached without a valid token or
/// key, or by a blocked user.
pub enum Authenticated {
    User(Box<Caller>),
    Key(Box<KeyCaller>),
}

impl Authenticated {
    /// The user; no service has what this is asked for.
    ///
    /// # Errors
    /// `forbidden` for a service key.
    pub fn caller(&self) -> Result<&Caller, ApiError> {
        match self {
            Self::User(caller) => Ok(caller),
            Self::Key(_) => {
                Err(ApiError::forbidden("this is for users, and no service key opens it"))
            }
        }
    }

    #[must_use]
    pub fn actor(&self) -> Actor<'_> {
        match self {
            Self::User(caller) => Actor::User(caller),
            Self::Key(key) => Actor::Key(key),
        }
    }

    /// The role whose view of chats the caller gets.
    #[must_use]
    pub fn viewer(&self) -> Role {
        match self {
            Self::User(caller) => caller.role(),
            Self::Key(key) => key.viewer(),
        }
    }

    /// The caller's user, of a key the service user of its name.
    #[must_use]
    pub fn profile(&self) -> &User {
        match self {
            Self::User(caller) => &caller.profile,
            Self::Key(key) => &key.profile,
        }
    }
}

impl FromRequest for Authenticated {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = state(request).and_then(|state| {
            let token = token(request)?
                .ok_or_else(|| ApiError::new(Code::Unauthenticated, "a Bearer token is missing"))?;
            let client = state.addresses.of(request);
            Ok((state, token.to_owned(), client))
        });
        Box::pin(async move {
            let (state, token, client) = found?;
            let app = &state.app;
            Ok(match ServiceKey::parse(&token) {
                Some(key) => Self::Key(Box::new(KeyCaller::admit(app, client, &key).await?)),
                None => {
                    let claims = authenticate::verify(app, &token).await?;
                    Self::User(Box::new(authenticate::admit(app, claims).await?))
                }
            })
        })
    }
}

/// Claims of the token in the `Authorization` header; `None` without such a header. A service key is no
/// token: it is for HTTP alone.
///
/// # Errors
/// `unauthenticated` for another scheme or a bad token, `token_expired` for an old one.
pub async fn claims(request: &HttpRequest, app: &AppState) -> Result<Option<Claims>, ApiError> {
    let Some(token) = token(request)? else { return Ok(None) };
    if ServiceKey::parse(token).is_some() {
        let words = "a service key is for HTTP alone: a session needs a user's token";
        return Err(ApiError::new(Code::Unauthenticated, words));
    }
    authenticate::verify(app, token).await.map(Some)
}

fn token(request: &HttpRequest) -> Result<Option<&str>, ApiError> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let Some(value) = headers.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(bearer).filter(|_| headers.next().is_none());
    token.map(Some).ok_or_else(|| {
        ApiError::new(Code::Unauthenticated, "the Authorization header must be: Bearer <token>")
    })
}
