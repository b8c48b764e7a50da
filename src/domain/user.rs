//! Users, their roles and identities.

use std::sync::Arc;

use super::{Timestamp, UserId};

/// Issuer of our own users: the built-in accounts and the services. No token may claim it.
pub const OWN_ISSUER: &str = "frontdesk";
/// The reserved issuer of the demo's users.
pub const DEMO_ISSUER: &str = "demo";

/// The role of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Has exactly one support chat, and sees nothing that is not theirs.
    Customer,
    /// A support agent: sees every chat, and can enter all of them.
    Admin,
    /// A service that answers for the company. Never signs in.
    Bot,
    /// A service that reports what happened. Never signs in.
    System,
}

impl Role {
    /// Parses the role of a person: `customer`, `user` or `admin`, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("customer") || text.eq_ignore_ascii_case("user") {
            Some(Self::Customer)
        } else if text.eq_ignore_ascii_case("admin") {
            Some(Self::Admin)
        } else {
            None
        }
    }

    /// The role on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
            Self::Bot => "bot",
            Self::System => "system",
        }
    }

    /// Parses any role, as [`Role::as_str`] writes it.
    #[must_use]
    pub fn parse_any(word: &str) -> Option<Self> {
        [Self::Customer, Self::Admin, Self::Bot, Self::System]
            .into_iter()
            .find(|role| role.as_str() == word)
    }

    /// True for a service's role; services never sign in.
    #[must_use]
    pub fn is_service(self) -> bool {
        matches!(self, Self::Bot | Self::System)
    }
}

/// A stored user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// Issuer of the subject; empty for a token without `iss`.
    pub issuer: String,
    /// The subject: the user's id at the issuer.
    pub subject: String,
    pub role: Role,
    pub nickname: Option<String>,
    pub email: Option<String>,
    pub blocked: bool,
    /// An admin's words on the block, for admins.
    pub block_reason: Option<String>,
    pub created_at: Timestamp,
}

impl User {
    /// The user as an author.
    #[must_use]
    pub fn author(&self) -> Arc<Author> {
        Arc::new(Author { id: self.id, nickname: self.nickname.clone(), role: self.role })
    }
}

/// An author as all members of a chat may see them. Shared by all messages of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    pub id: UserId,
    pub nickname: Option<String>,
    pub role: Role,
}

/// Claims of a verified token about its bearer. A missing claim changes nothing of a known user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `iss`; empty if the token has none.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    pub role: Option<Role>,
    pub nickname: Option<String>,
    pub email: Option<String>,
    /// `iat`, seconds since the epoch: a token older than the last one changes nothing.
    pub issued_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_in_any_case_and_by_both_names() {
        for text in ["customer", "USER", "User"] {
            assert_eq!(Role::parse(text), Some(Role::Customer), "{text}");
        }
        assert_eq!(Role::parse("ADMIN"), Some(Role::Admin));
        for text in ["", "root", "admin ", "users"] {
            assert_eq!(Role::parse(text), None, "{text}");
        }
    }
}
