//! Peer messages: the JSON between nodes, with a tag that proves their origin.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::live_list::{LiveList, LivePart};
use super::replays::Numbers;
use super::seal::Seal;
use super::wire::{WireNews, WirePart};
use crate::actors::Audience;
use crate::domain::{NodeId, SessionId, Timestamp, UserId};
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
    /// Messages, live states, and changes of the sender's share.
    News(WireNews<'a>),
    /// A part of the sender's whole share.
    Share(WirePart<'a>),
    /// Asks the receiver for its whole share.
    AskShare,
    /// Asks for what is live on the receiver.
    AskLive { ask: u64, list: LiveList },
    /// The answer to `AskLive`.
    Live { ask: u64, part: LivePart },
    /// Ends a session of the receiver.
    EndSession(String),
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
    /// The number among the sender's messages.
    at: i64,
    #[serde(borrow)]
    word: PeerMessage<'a>,
}

/// A message with its sender.
#[derive(Debug)]
pub struct Received<'a> {
    pub from: NodeId,
    /// The number among the sender's messages.
    pub number: i64,
    pub message: PeerMessage<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Its sender does not have the deployment's secret.
    Foreign,
    /// Its sender may have another version.
    Unknown,
}

/// Encodes and decodes a node's messages.
pub struct Codec {
    here: NodeId,
    seal: Seal,
    numbers: Numbers,
}

impl Codec {
    #[must_use]
    pub fn new(here: NodeId, seal: Seal) -> Self {
        Self { here, seal, numbers: Numbers::default() }
    }

    /// # Errors
    /// A message that is foreign or unknown.
    pub fn read<'a>(&self, bytes: &'a [u8]) -> Result<Received<'a>, Unread> {
        let message = self.seal.open(bytes).ok_or(Unread::Foreign)?;
        let envelope: Envelope<'_> =
            serde_json::from_slice(message).map_err(|_| Unread::Unknown)?;
        let from = NodeId::parse(&envelope.from).ok_or(Unread::Unknown)?;
        Ok(Received { from, number: envelope.at, message: envelope.word })
    }

    /// # Errors
    /// No outside input can cause one.
    pub fn write(&self, message: PeerMessage<'_>) -> Result<Vec<u8>, ApiError> {
        let at = self.numbers.next(Timestamp::now());
        let envelope = Envelope { from: self.here.to_string(), at, word: message };
        let bytes = serde_json::to_vec(&envelope).map_err(|error| {
            log::error!("cannot encode a message to other nodes: {error}");
            ApiError::unavailable()
        })?;
        Ok(self.seal.close(bytes))
    }

    /// A frame for sessions of other nodes.
    ///
    /// # Errors
    /// No outside input can cause one.
    pub fn tell(&self, audience: Audience, frame: &Frame) -> Result<Vec<u8>, ApiError> {
        let to = match audience {
            Audience::Session(session) => To::Session(session.to_string()),
            Audience::User(user) => To::User(user),
            Audience::Everybody => To::Everybody,
        };
        let frame = serde_json::from_str(frame).map_err(|error| {
            log::error!("cannot encode a frame for other nodes: {error}");
            ApiError::unavailable()
        })?;
        self.write(PeerMessage::Tell { to, frame })
    }
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

    fn codec(node: NodeId) -> Codec {
        Codec::new(node, Seal::new(None, None))
    }

    #[test]
    fn a_frame_is_the_same_on_the_other_node() {
        let (node, session) = (NodeId::random(), SessionId::random());
        let (here, there) = (codec(node), codec(NodeId::random()));
        let frame = Frame::from(r#"{"event":"recv","data":{"n":1.0,"é":"\u00e9 \"x\""}}"#);
        for audience in [Audience::Session(session), Audience::User(UserId(7)), Audience::Everybody]
        {
            let bytes = here.tell(audience, &frame).expect("a message");
            let Received { from, message, .. } = there.read(&bytes).expect("an envelope");
            let PeerMessage::Tell { to, frame: told } = message else { panic!("{message:?}") };
            assert_eq!((from, told.get()), (node, &*frame));
            assert_eq!(to.audience(), Some(audience));
        }
    }

    #[test]
    fn an_unknown_message_is_ignored() {
        let codec = codec(NodeId::random());
        for message in [
            "",
            "1",
            r#"{"from":"aabbccddeeff"}"#,
            r#"{"from":"nobody","at":1,"word":{"say":"here"}}"#,
            r#"{"from":"aabbccddeeff","word":{"say":"here"}}"#,
            r#"{"from":"aabbccddeeff","at":1,"word":{"say":"sing"}}"#,
        ] {
            let bytes = codec.seal.close(message.into());
            assert_eq!(codec.read(&bytes).err(), Some(Unread::Unknown), "{message}");
            assert_eq!(codec.read(message.as_bytes()).err(), Some(Unread::Foreign), "{message}");
        }
    }
}
