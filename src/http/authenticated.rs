//! Who asks: the Bearer token of a request, verified, and its user let in.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::{Problem, state};
use crate::actors::Desk;
use crate::auth::{AuthenticatedUser, Claims};
use crate::domain::{ChatId, Role, Standing, access};
use crate::protocol::{Code, Exception};

/// A handler that takes this is reached by nobody without a valid token, nor by who is blocked.
pub struct Authenticated {
    pub user: AuthenticatedUser,
    /// How the user stands to the own chats, read with the user: most requests need no second look.
    standings: Vec<Standing>,
}

impl Authenticated {
    #[must_use]
    pub fn role(&self) -> Role {
        self.user.role()
    }

    /// How the user stands to a chat that they may see.
    ///
    /// # Errors
    /// `chat_not_found` for any other.
    pub async fn standing(&self, desk: &Desk, chat: ChatId) -> Result<Standing, Exception> {
        match self.standings.iter().find(|standing| standing.chat_id == chat) {
            Some(standing) if access::may_see(self.role(), standing) => Ok(*standing),
            Some(_) => Err(Exception::chat_not_found(chat)),
            // Not among those that came with the user: an admin's, or one that is long quiet.
            None => desk.standing(&self.user, chat).await,
        }
    }

    /// Lets pass who may list, make and block users.
    ///
    /// # Errors
    /// `forbidden` for anyone else.
    pub fn manages_users(&self) -> Result<(), Exception> {
        if access::may_manage_users(self.role()) {
            Ok(())
        } else {
            Err(Exception::forbidden("only an admin may do this"))
        }
    }
}

impl FromRequest for Authenticated {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let claims = state(request).and_then(|state| {
            let claims = claims(request, &state.desk)?.ok_or_else(|| {
                Exception::new(Code::Unauthenticated, "a Bearer token is missing")
            })?;
            Ok((state, claims))
        });
        Box::pin(async move {
            let (state, claims) = claims?;
            let (user, standings) = state.desk.admit(claims).await?;
            Ok(Self { user, standings })
        })
    }
}

/// What the token in the `Authorization` header says; `None` where there is no such header.
///
/// # Errors
/// `unauthenticated` for another scheme or a bad token, `token_expired` for an old one.
pub fn claims(request: &HttpRequest, desk: &Desk) -> Result<Option<Claims>, Exception> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let Some(value) = headers.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(bearer).filter(|_| headers.next().is_none());
    let token = token.ok_or_else(|| {
        Exception::new(Code::Unauthenticated, "the Authorization header must be: Bearer <token>")
    })?;
    desk.verify(token).map(Some)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_follows_its_scheme_in_any_case() {
        for header in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c "] {
            assert_eq!(bearer(header), Some("a.b.c"), "{header}");
        }
        for header in ["", "Bearer", "Bearer ", "Basic a.b.c", "a.b.c", "Bearera.b.c"] {
            assert_eq!(bearer(header), None, "{header}");
        }
    }
}
