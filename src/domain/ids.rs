//! Identifier types: one for each identifier, so that none is mistaken for another.

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
    /// A user, of any issuer.
    UserId
}
id! {
    /// A sign-in to a built-in account, which all of its tokens name as `sid`. Random, so that no restored
    /// database gives one out again.
    LoginId
}
id! {
    /// A service key.
    KeyId
}
id! {
    /// A chat.
    ChatId
}
id! {
    /// A message; unique over the deployment, and unordered: [`Seq`] is the order.
    MessageId
}
id! {
    /// A message's number in its chat: 1, 2, 3 … in commit order. 0 is before the first.
    Seq
}

impl LoginId {
    /// A new random id, positive.
    #[must_use]
    pub fn random() -> Self {
        let ((first, _), (_, second)) =
            (Uuid::new_v4().as_u64_pair(), Uuid::new_v4().as_u64_pair());
        // The fixed bits of each meet random bits of the other.
        Self(((first ^ second) >> 1).cast_signed())
    }

    /// Parses the output of `Display`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|id| *id > 0).map(Self)
    }
}

impl Seq {
    /// Before the first message.
    pub const ZERO: Seq = Seq(0);

    /// The next number.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }

    /// Number of messages after `self`, up to and including `end`; 0 if `end` is not above.
    #[must_use]
    pub fn until(self, end: Seq) -> i64 {
        end.0.saturating_sub(self.0).max(0)
    }
}

/// One process of the deployment: 48 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; NodeId::BYTES]);

impl NodeId {
    const BYTES: usize = 6;

    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        SessionId::random().node()
    }

    /// Parses the output of `Display`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 2 * Self::BYTES && text.bytes().all(|c| c.is_ascii_hexdigit());
        let bits = u64::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        let [_, _, bytes @ ..] = bits.to_be_bytes();
        Some(Self(bytes))
    }
}

/// Twelve hexadecimal digits.
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One session; unique over the deployment, so that an answer finds it from any node.
/// It begins with its node's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// A new random id, of no existing node.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// A new id of this node.
    #[must_use]
    pub fn on_node(node: NodeId) -> Self {
        // Outside the version bits, so it stays a valid UUID.
        let mut bytes = Uuid::new_v4().into_bytes();
        for (byte, of_node) in bytes.iter_mut().zip(node.0) {
            *byte = of_node;
        }
        Self(Uuid::from_bytes(bytes))
    }

    /// The session's node.
    #[must_use]
    pub fn node(self) -> NodeId {
        let [a, b, c, d, e, f, ..] = self.0.into_bytes();
        NodeId([a, b, c, d, e, f])
    }

    /// Parses the output of `Display`, and the form with hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_names_its_node_and_is_still_a_random_uuid() {
        let node = NodeId::random();
        let (first, second) = (SessionId::on_node(node), SessionId::on_node(node));
        assert_eq!((first.node(), second.node()), (node, node));
        assert_ne!(first, second);
        assert_eq!(first.0.get_version_num(), 4);
        assert_eq!(first.0.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(SessionId::parse(&first.to_string()), Some(first));
    }

    #[test]
    fn a_node_is_read_as_it_is_written() {
        let node = NodeId::random();
        assert_eq!(node.to_string().len(), 12);
        assert_eq!(NodeId::parse(&node.to_string()), Some(node));
        for text in ["", "all", "00112233445", "0011223344556", "+01122334455", "gg1122334455"] {
            assert_eq!(NodeId::parse(text), None, "{text}");
        }
    }
}
