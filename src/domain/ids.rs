//! A type for each identifier, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A user, whoever vouches for them.
    UserId
}
id! {
    /// A durable conversation.
    ChatId
}
id! {
    /// A message; unique over the deployment, and of no order: order is [`Seq`]'s.
    MessageId
}
id! {
    /// A message's place in its chat: 1, 2, 3 … in commit order. 0 stands before the first.
    Seq
}

impl Seq {
    /// Before the first message.
    pub const ZERO: Seq = Seq(0);

    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }

    /// How many messages lie after `self`, up to and including `end`; 0 where `end` is not above.
    #[must_use]
    pub fn until(self, end: Seq) -> i64 {
        end.0.saturating_sub(self.0).max(0)
    }
}

/// One WebSocket connection; unique over the deployment, so that an answer finds it from any node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// A new one, random.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}
