//! Frames of RFC 6455: fragments joined to messages, and errors that end a session.

use std::io;

use actix_http::ws::{CloseReason, Item, Message, ProtocolError};
use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use crate::protocol::Ending;

/// A message from the client.
pub enum Incoming {
    Text(ByteString),
    /// Bytes of it; nothing is done with them.
    Binary(usize),
    Ping(Bytes),
    Close(Option<CloseReason>),
    /// A pong, or a part of a message.
    Nothing,
}

/// The reason for which a stream of frames cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    Frame,
    Utf8,
    TooLarge,
    /// The connection broke.
    Gone,
}

impl From<Broken> for Ending {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Frame => Self::BrokenFrame,
            Broken::Utf8 => Self::NotUtf8,
            Broken::TooLarge => Self::TooLarge,
            Broken::Gone => Self::Gone,
        }
    }
}

impl From<ProtocolError> for Broken {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Overflow => Self::TooLarge,
            // The crate lacks variants for a frame that a
            // [`FrameReader`](super::reading::FrameReader) has refused, for a text that is not
            // UTF-8, and for a broken connection.
            ProtocolError::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::Frame,
            ProtocolError::Io(error) => match error.to_string() {
                text if text == PayloadError::Overflow.to_string() => Self::TooLarge,
                text if text == PayloadError::EncodingCorrupted.to_string() => Self::Frame,
                text if text.contains("utf-8") || text.contains("UTF-8") => Self::Utf8,
                _ => Self::Gone,
            },
            _ => Self::Frame,
        }
    }
}

/// Puts fragmented messages together, as long as they stay within the limit of one frame.
pub struct Fragments {
    most: usize,
    parts: Option<Parts>,
    /// Fragmented messages that have begun.
    begun: u32,
}

struct Parts {
    is_text: bool,
    bytes: BytesMut,
}

impl Fragments {
    pub fn new(most: usize) -> Self {
        Self { most, parts: None, begun: 0 }
    }

    pub fn take(&mut self, message: Result<Message, ProtocolError>) -> Result<Incoming, Broken> {
        Ok(match message? {
            Message::Text(text) => Incoming::Text(text),
            Message::Binary(bytes) => Incoming::Binary(bytes.len()),
            Message::Ping(payload) => Incoming::Ping(payload),
            Message::Pong(_) | Message::Nop => Incoming::Nothing,
            Message::Close(reason) => Incoming::Close(reason),
            Message::Continuation(item) => self.part(item)?,
        })
    }

    /// The number of the message that is not whole.
    #[must_use]
    pub fn unfinished(&self) -> Option<u32> {
        self.parts.as_ref().map(|_| self.begun)
    }

    fn part(&mut self, item: Item) -> Result<Incoming, Broken> {
        if matches!(item, Item::FirstText(_) | Item::FirstBinary(_)) {
            self.begun = self.begun.wrapping_add(1);
        }
        let (bytes, is_last) = match item {
            Item::FirstText(bytes) => {
                self.parts = Some(Parts { is_text: true, bytes: BytesMut::new() });
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                self.parts = Some(Parts { is_text: false, bytes: BytesMut::new() });
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let parts = self.parts.as_mut().ok_or(Broken::Frame)?;
        if parts.bytes.len() + bytes.len() > self.most {
            return Err(Broken::TooLarge);
        }
        parts.bytes.extend_from_slice(&bytes);
        match self.parts.take_if(|_| is_last) {
            Some(Parts { is_text: true, bytes }) => {
                ByteString::try_from(bytes.freeze()).map(Incoming::Text).map_err(|_| Broken::Utf8)
            }
            Some(Parts { is_text: false, bytes }) => Ok(Incoming::Binary(bytes.len())),
            None => Ok(Incoming::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragmented_message_is_held_to_the_limit_of_one_frame() {
        let mut fragments = Fragments::new(5);
        let part = |item| Ok(Message::Continuation(item));
        assert!(fragments.take(part(Item::FirstText(Bytes::from_static(b"abc")))).is_ok());
        assert!(matches!(
            fragments.take(part(Item::Last(Bytes::from_static(b"de")))),
            Ok(Incoming::Text(text)) if text == "abcde"
        ));
        assert!(fragments.take(part(Item::FirstText(Bytes::from_static(b"abc")))).is_ok());
        assert!(matches!(
            fragments.take(part(Item::Continue(Bytes::from_static(b"def")))),
            Err(Broken::TooLarge)
        ));
    }

    #[test]
    fn a_character_may_be_split_over_fragments() {
        let mut fragments = Fragments::new(9);
        let part = |item| Ok(Message::Continuation(item));
        assert!(fragments.take(part(Item::FirstText(Bytes::from_static(b"\xc3")))).is_ok());
        assert!(matches!(
            fragments.take(part(Item::Last(Bytes::from_static(b"\xa9")))),
            Ok(Incoming::Text(text)) if text == "é"
        ));
        assert!(fragments.take(part(Item::FirstText(Bytes::from_static(b"\xc3")))).is_ok());
        assert!(matches!(fragments.take(part(Item::Last(Bytes::new()))), Err(Broken::Utf8)));
    }
}
