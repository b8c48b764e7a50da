//! Peer messages: the JSON between nodes.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::actors::Audience;
use crate::domain::{ChatId, NodeId, Seq, SessionId, UserId};
use crate::protocol::{ApiError, Frame};

/// A message of one node to another, or to all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", content = "what", rename_all = "snake_case")]
pub enum PeerMessage<'a> {
    /// A heartbeat.
    Here,
    /// The node ends.
    Gone,
    /// A frame for the receiver's sessions.
    Tell {
        to: To,
        #[serde(borrow)]
        frame: &'a RawValue,
    },
    /// Asks for a session of a user.
    Find { find: u64, user: UserId },
    /// The answer to `Find`.
    Found { find: u64, here: bool },
    /// New ends of chats' logs, after commits.
    Hints(Vec<(ChatId, Seq)>),
}

/// An [`Audience`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    Session(String),
    User(UserId),
    Everybody,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    from: String,
    #[serde(borrow)]
    word: PeerMessage<'a>,
}

/// The sender and the message; `None` if it is not understood.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(NodeId, PeerMessage<'_>)> {
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).ok()?;
    Some((NodeId::parse(&envelope.from)?, envelope.word))
}

/// # Errors
/// No outside input can cause one.
pub fn write(from: NodeId, message: PeerMessage<'_>) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(&Envelope { from: from.to_string(), word: message }).map_err(|error| {
        log::error!("cannot encode a message to other nodes: {error}");
        ApiError::unavailable()
    })
}

/// A frame for sessions of other nodes.
///
/// # Errors
/// No outside input can cause one.
pub fn tell(from: NodeId, audience: Audience, frame: &Frame) -> Result<Vec<u8>, ApiError> {
    let to = match audience {
        Audience::Session(session) => To::Session(session.to_string()),
        Audience::User(user) => To::User(user),
        Audience::Everybody => To::Everybody,
    };
    let frame = serde_json::from_str(frame).map_err(|error| {
        log::error!("cannot encode a frame for other nodes: {error}");
        ApiError::unavailable()
    })?;
    write(from, PeerMessage::Tell { to, frame })
}

impl To {
    #[must_use]
    pub fn audience(&self) -> Option<Audience> {
        Some(match self {
            Self::Session(session) => Audience::Session(SessionId::parse(session)?),
            Self::User(user) => Audience::User(*user),
            Self::Everybody => Audience::Everybody,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_the_same_on_the_other_node() {
        let (node, session) = (NodeId::random(), SessionId::random());
        let frame = Frame::from(r#"{"event":"recv","data":{"n":1.0,"é":"\u00e9 \"x\""}}"#);
        for audience in [Audience::Session(session), Audience::User(UserId(7)), Audience::Everybody]
        {
            let bytes = tell(node, audience, &frame).expect("a message");
            let (from, message) = read(&bytes).expect("an envelope");
            let PeerMessage::Tell { to, frame: told } = message else { panic!("{message:?}") };
            assert_eq!((from, told.get()), (node, &*frame));
            assert_eq!(to.audience(), Some(audience));
        }
    }

    #[test]
    fn an_unknown_message_is_ignored() {
        for bytes in [
            "",
            "1",
            r#"{"from":"aabbccddeeff"}"#,
            r#"{"from":"nobody","word":{"say":"here"}}"#,
            r#"{"from":"aabbccddeeff","word":{"say":"sing"}}"#,
        ] {
            assert!(read(bytes.as_bytes()).is_none(), "{bytes}");
        }
    }
}
