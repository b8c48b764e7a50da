//! Extractor of the caller: the Bearer token of a request, verified, and its user let in.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::{Problem, state};
use crate::app::{Actor, AppState, Caller, authenticate};
use crate::auth::{Claims, bearer};
use crate::domain::Role;
use crate::protocol::{ApiError, Code};

/// The caller of a request. A handler with this parameter is never reached without a valid token,
/// or by a blocked user.
pub struct Authenticated(Caller);

impl Authenticated {
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0
    }

    #[must_use]
    pub fn actor(&self) -> Actor<'_> {
        Actor::User(&self.0)
    }

    #[must_use]
    pub fn role(&self) -> Role {
        self.0.role()
    }
}

impl FromRequest for Authenticated {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let claims = state(request).and_then(|state| {
            let claims = claims(request, &state.app)?
                .ok_or_else(|| ApiError::new(Code::Unauthenticated, "a Bearer token is missing"))?;
            Ok((state, claims))
        });
        Box::pin(async move {
            let (state, claims) = claims?;
            Ok(Self(authenticate::admit(&state.app, claims).await?))
        })
    }
}

/// Claims of the token in the `Authorization` header; `None` without such a header.
///
/// # Errors
/// `unauthenticated` for another scheme or a bad token, `token_expired` for an old one.
pub fn claims(request: &HttpRequest, app: &AppState) -> Result<Option<Claims>, ApiError> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let Some(value) = headers.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(bearer).filter(|_| headers.next().is_none());
    let token = token.ok_or_else(|| {
        ApiError::new(Code::Unauthenticated, "the Authorization header must be: Bearer <token>")
    })?;
    authenticate::verify(app, token).map(Some)
}
