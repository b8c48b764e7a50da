//! The proof that somebody is who they say.

use std::sync::Arc;

use super::Claims;
use crate::domain::{Author, Role, Timestamp, User, UserId};

/// Why a stored user is not let in with these claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    #[error("the user is blocked")]
    Blocked,
    /// A fault here: the user that was found is not the token's.
    #[error("the token is of another user")]
    OtherUser,
}

impl Claims {
    /// Joins what was verified with the user that was found for it.
    ///
    /// # Errors
    /// A user who is blocked, or who is not the one that the claims are of.
    pub fn admit(self, user: User) -> Result<AuthenticatedUser, AdmitError> {
        let identity = self.identity();
        if (&user.issuer, &user.subject) != (&identity.issuer, &identity.subject) {
            return Err(AdmitError::OtherUser);
        }
        if user.blocked {
            return Err(AdmitError::Blocked);
        }
        Ok(AuthenticatedUser { author: user.author(), user, expires_at: self.expires_at() })
    }
}

/// A user whose token was verified. There is no other way to one than [`Claims::admit`].
#[derive(Debug, Clone)]
pub struct AuthenticatedUser {
    user: User,
    author: Arc<Author>,
    expires_at: Timestamp,
}

impl AuthenticatedUser {
    #[must_use]
    pub fn id(&self) -> UserId {
        self.user.id
    }

    #[must_use]
    pub fn role(&self) -> Role {
        self.user.role
    }

    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// How the user stands beside each message, one value for all of them.
    #[must_use]
    pub fn author(&self) -> Arc<Author> {
        Arc::clone(&self.author)
    }

    /// When the token ends, without leeway.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}
