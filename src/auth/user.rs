//! Authenticated users: the proof of a verified token.

use std::sync::Arc;

use super::Claims;
use super::claims::Leeway;
use crate::domain::{Author, LoginId, Role, Timestamp, User, UserId, access};

/// Refusal to admit a stored user with these claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    #[error("the user is blocked")]
    Blocked,
    /// A bug: the user that was found is not the token's.
    #[error("the token is of another user")]
    OtherUser,
}

impl Claims {
    /// Joins verified claims with their stored user, who comes back in the role that counts. `as_of` is before
    /// the user was read.
    ///
    /// # Errors
    /// A blocked user, or one of another token.
    pub fn admit(
        self,
        mut user: User,
        as_of: Timestamp,
    ) -> Result<(AuthenticatedUser, User), AdmitError> {
        let identity = self.identity();
        if (&user.issuer, &user.subject) != (&identity.issuer, &identity.subject) {
            return Err(AdmitError::OtherUser);
        }
        if user.blocked {
            return Err(AdmitError::Blocked);
        }
        let token_role = identity.role;
        user.role = access::role_of(token_role, user.role);
        let (author, expires_at, leeway) = (user.author(), self.expires_at(), self.leeway());
        let login = self.login();
        Ok((AuthenticatedUser { author, token_role, login, leeway, expires_at, as_of }, user))
    }
}

/// A user whose token was verified. Only [`Claims::admit`] makes one. Each session keeps one, so it is
/// small.
#[derive(Debug, Clone)]
pub struct AuthenticatedUser {
    /// Of the lesser of the stored role and the token's.
    author: Arc<Author>,
    /// The token's role.
    token_role: Option<Role>,
    /// Of a built-in account.
    login: Option<LoginId>,
    leeway: Leeway,
    expires_at: Timestamp,
    /// Before the stored user was read.
    as_of: Timestamp,
}

impl AuthenticatedUser {
    /// A user whose token has the stored role, and ends at 0 with a leeway of 30 s; for tests of
    /// sessions.
    #[cfg(test)]
    pub(crate) fn from_user(user: &User) -> Self {
        let (author, token_role) = (user.author(), Some(user.role));
        let leeway = Leeway::of(std::time::Duration::from_secs(30));
        Self {
            author,
            token_role,
            login: None,
            leeway,
            expires_at: Timestamp(0),
            as_of: Timestamp(0),
        }
    }

    #[must_use]
    pub fn id(&self) -> UserId {
        self.author.id
    }

    /// The login of a built-in account's token.
    #[must_use]
    pub fn login(&self) -> Option<LoginId> {
        self.login
    }

    /// Before the stored user was read: what changed later is not in it.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// The lesser of the stored role and the token's.
    #[must_use]
    pub fn role(&self) -> Role {
        self.author.role
    }

    /// True if the bearer may do less now that this role is stored.
    #[must_use]
    pub fn is_lowered_by(&self, stored: Role) -> bool {
        access::is_less(access::role_of(self.token_role, stored), self.role())
    }

    /// The user as the author of messages, one value for all of them.
    #[must_use]
    pub fn author(&self) -> Arc<Author> {
        Arc::clone(&self.author)
    }

    /// The token's end, without leeway.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The end of a session with this token: the leeway after it.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.leeway.after(self.expires_at)
    }
}
