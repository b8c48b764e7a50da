//! The words that nodes say to each other, as they stand on the wire.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::actors::Audience;
use crate::domain::{NodeId, SessionId, UserId};
use crate::protocol::{ApiError, Frame};

/// What one node says to another, or to all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", content = "what", rename_all = "snake_case")]
pub enum Word<'a> {
    /// I am here.
    Here,
    /// I go.
    Gone,
    /// Tell your sessions.
    Tell {
        to: To,
        #[serde(borrow)]
        frame: &'a RawValue,
    },
    /// Is this user with you?
    Find { find: u64, user: UserId },
    /// They are, or are not.
    Found { find: u64, here: bool },
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
struct Letter<'a> {
    from: String,
    #[serde(borrow)]
    word: Word<'a>,
}

/// Who said something, and what; nothing where it cannot be read.
#[must_use]
pub fn read(letter: &[u8]) -> Option<(NodeId, Word<'_>)> {
    let letter: Letter<'_> = serde_json::from_slice(letter).ok()?;
    Some((NodeId::parse(&letter.from)?, letter.word))
}

/// # Errors
/// None that anything from outside could cause.
pub fn write(from: NodeId, word: Word<'_>) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(&Letter { from: from.to_string(), word }).map_err(|error| {
        log::error!("a word to other nodes cannot be written: {error}");
        ApiError::unavailable()
    })
}

/// A frame, and whom it is for.
///
/// # Errors
/// None that anything from outside could cause.
pub fn tell(from: NodeId, audience: Audience, frame: &Frame) -> Result<Vec<u8>, ApiError> {
    let to = match audience {
        Audience::Session(session) => To::Session(session.to_string()),
        Audience::User(user) => To::User(user),
        Audience::Everybody => To::Everybody,
    };
    let frame = serde_json::from_str(frame).map_err(|error| {
        log::error!("a frame for other nodes cannot be read: {error}");
        ApiError::unavailable()
    })?;
    write(from, Word::Tell { to, frame })
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
            let bytes = tell(node, audience, &frame).expect("a word");
            let (from, word) = read(&bytes).expect("a letter");
            let Word::Tell { to, frame: told } = word else { panic!("another word") };
            assert_eq!((from, told.get()), (node, &*frame));
            assert_eq!(to.audience(), Some(audience));
        }
    }

    #[test]
    fn what_no_node_says_is_not_read() {
        for letter in [
            "",
            "1",
            r#"{"from":"aabbccddeeff"}"#,
            r#"{"from":"nobody","word":{"say":"here"}}"#,
            r#"{"from":"aabbccddeeff","word":{"say":"sing"}}"#,
        ] {
            assert!(read(letter.as_bytes()).is_none(), "{letter}");
        }
    }
}
