//! Service keys, and their scopes: what a service may do over HTTP.

use std::fmt;

use super::{KeyId, Timestamp};

/// A key, without what makes it one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    pub id: KeyId,
    /// The name of the service user that it posts as. Several keys may have one name.
    pub name: String,
    pub scopes: Scopes,
    pub created_at: Timestamp,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// One scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reads chats and their messages.
    ChatsRead,
    /// Writes messages, as the service user of the key's name.
    MessagesWrite,
    /// Reads users, with their e-mail addresses.
    UsersRead,
    /// Makes users, blocks and unblocks them.
    UsersWrite,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::ChatsRead, Self::MessagesWrite, Self::UsersRead, Self::UsersWrite];

    /// The scope in requests and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatsRead => "chats:read",
            Self::MessagesWrite => "messages:write",
            Self::UsersRead => "users:read",
            Self::UsersWrite => "users:write",
        }
    }

    /// Parses one scope.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// A set of scopes, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    #[must_use]
    pub fn new(mut scopes: Vec<Scope>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Parses the output of `Display`. A scope of a newer version gives nothing here.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::new(text.split_ascii_whitespace().filter_map(Scope::parse).collect())
    }

    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|scope| scope.as_str())
    }
}

/// Words with spaces between them.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        let scopes = Scopes::new(vec![Scope::UsersWrite, Scope::ChatsRead, Scope::ChatsRead]);
        assert_eq!(scopes.to_string(), "chats:read users:write");
        assert_eq!(Scopes::parse("users:write  chats:read"), scopes);
        assert!(scopes.has(Scope::ChatsRead) && !scopes.has(Scope::MessagesWrite));
    }

    #[test]
    fn an_unknown_scope_gives_nothing() {
        assert_eq!(Scopes::parse("chats:read everything"), Scopes::new(vec![Scope::ChatsRead]));
        assert_eq!(Scope::parse("chats"), None);
    }
}
