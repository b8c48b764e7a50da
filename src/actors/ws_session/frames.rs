//! Frames as RFC 6455 has them: fragments put together, and what ends a session.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_http::ws::{CloseReason, Item, Message, ProtocolError};
use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;

use crate::metrics::Ending;

/// What a message from the client comes to.
pub enum Incoming {
    Text(ByteString),
    Binary,
    Ping(Bytes),
    Close(Option<CloseReason>),
    /// A pong, or a part of a message.
    Nothing,
}

/// A stream of frames that is none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    Frame,
    Utf8,
    TooLarge,
    /// Nobody is there any more.
    Gone,
}

impl Broken {
    /// The close code, and what the ending is counted as; nothing where nobody would read it.
    pub fn close(self) -> Option<(u16, Ending)> {
        match self {
            Self::Frame => Some((1002, Ending::BrokenFrame)),
            Self::Utf8 => Some((1007, Ending::NotUtf8)),
            Self::TooLarge => Some((1009, Ending::TooLarge)),
            Self::Gone => None,
        }
    }
}

impl From<ProtocolError> for Broken {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Overflow => Self::TooLarge,
            // The crate has no variants of its own for reserved bits, for a text that is no UTF-8, for
            // [`FrameGuard`]'s refusal and for a connection that broke.
            ProtocolError::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::Frame,
            ProtocolError::Io(error) => match error.to_string() {
                text if text == PayloadError::Overflow.to_string() => Self::TooLarge,
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
}

struct Parts {
    is_text: bool,
    bytes: BytesMut,
}

impl Fragments {
    pub fn new(most: usize) -> Self {
        Self { most, parts: None }
    }

    pub fn take(&mut self, message: Result<Message, ProtocolError>) -> Result<Incoming, Broken> {
        Ok(match message? {
            Message::Text(text) => Incoming::Text(text),
            Message::Binary(_) => Incoming::Binary,
            Message::Ping(payload) => Incoming::Ping(payload),
            Message::Pong(_) | Message::Nop => Incoming::Nothing,
            Message::Close(reason) => Incoming::Close(reason),
            Message::Continuation(item) => self.part(item)?,
        })
    }

    fn part(&mut self, item: Item) -> Result<Incoming, Broken> {
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
            Some(Parts { is_text: false, .. }) => Ok(Incoming::Binary),
            None => Ok(Incoming::Nothing),
        }
    }
}

/// Looks at each frame's header as its bytes pass, and ends the stream at one that claims too much:
/// the codec behind it would first take in all that was claimed.
pub struct FrameGuard<S> {
    stream: S,
    most: u64,
    header: [u8; 14],
    /// How much of a header is there.
    filled: usize,
    /// What is left of the frame's payload.
    payload: u64,
    /// What the fragments of the message so far have claimed.
    message: u64,
}

impl<S> FrameGuard<S> {
    /// Guards the bytes of a connection whose frames may have `most` bytes.
    #[must_use]
    pub fn new(stream: S, most: usize) -> Self {
        Self { stream, most: most as u64, header: [0; 14], filled: 0, payload: 0, message: 0 }
    }

    /// Follows the frames through `bytes`; `false` at a header that claims too much.
    fn follow(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skip = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= skip as u64;
                bytes = bytes.get(skip..).unwrap_or_default();
                continue;
            }
            let Some((first, rest)) = bytes.split_first() else { break };
            bytes = rest;
            if let Some(place) = self.header.get_mut(self.filled) {
                *place = *first;
            }
            self.filled += 1;
            if let Some((header, length)) =
                claimed(self.header.get(..self.filled).unwrap_or_default())
                && self.filled == header
            {
                let first = self.header.first().copied().unwrap_or_default();
                let (is_control, is_last) = (first & 0x08 != 0, first & 0x80 != 0);
                let message = if is_control { 0 } else { self.message };
                let claimed = message.saturating_add(length);
                if claimed > self.most {
                    return false;
                }
                if !is_control {
                    self.message = if is_last { 0 } else { claimed };
                }
                self.payload = length;
                self.filled = 0;
            }
        }
        true
    }
}

/// The length of a header, and of the payload that it claims, once enough of it is there to tell.
fn claimed(header: &[u8]) -> Option<(usize, u64)> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    match second & 0x7f {
        126 => {
            let length = header.get(2..4)?.try_into().ok()?;
            Some((4 + mask, u64::from(u16::from_be_bytes(length))))
        }
        127 => {
            let length = header.get(2..10)?.try_into().ok()?;
            Some((10 + mask, u64::from_be_bytes(length)))
        }
        length => Some((2 + mask, u64::from(length))),
    }
}

impl<S> Stream for FrameGuard<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.stream).poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &next
            && !self.follow(bytes)
        {
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(most: usize) -> FrameGuard<()> {
        FrameGuard::new((), most)
    }

    /// A masked frame of `length` zeros.
    fn frame(length: u64) -> Vec<u8> {
        let mut bytes = vec![0x81];
        match length {
            0..126 => bytes.push(0x80 | length as u8),
            126..0x1_0000 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend([0; 4]);
        bytes.resize(bytes.len() + length as usize, 0);
        bytes
    }

    #[test]
    fn a_header_that_claims_too_much_is_caught_before_its_payload() {
        let mut bytes = frame(3);
        bytes.extend(frame(70_000));
        bytes.extend([
            0x81,
            0x80 | 127,
            0x7f,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            1,
            2,
            3,
            4,
        ]);
        let (last, before) = bytes.split_last().expect("bytes");
        for chunk in [1, 2, 7, 1000, before.len()] {
            let mut guard = guard(70_000);
            assert!(before.chunks(chunk).all(|chunk| guard.follow(chunk)), "in chunks of {chunk}");
            assert!(!guard.follow(&[*last]));
        }
    }

    #[test]
    fn frames_up_to_the_limit_pass_in_whatever_pieces_they_come() {
        let mut bytes = Vec::new();
        for length in [0, 1, 125, 126, 500, 65_535, 65_536] {
            bytes.extend(frame(length));
        }
        for chunk in [1, 3, 1000, bytes.len()] {
            let mut guard = guard(65_536);
            assert!(bytes.chunks(chunk).all(|chunk| guard.follow(chunk)), "in chunks of {chunk}");
            assert_eq!((guard.filled, guard.payload), (0, 0));
        }
    }

    #[test]
    fn fragments_that_claim_too_much_together_are_caught_by_their_headers() {
        let mut guard = guard(100);
        let fragment = |opcode: u8, length: u64| {
            let mut bytes = frame(length);
            bytes[0] = opcode;
            bytes
        };
        assert!(guard.follow(&fragment(0x01, 60)));
        assert!(guard.follow(&fragment(0x89, 60)), "a ping between them does not count");
        assert!(guard.follow(&fragment(0x80, 40)));
        assert!(guard.follow(&fragment(0x01, 60)), "the next message begins anew");
        assert!(!guard.follow(&fragment(0x00, 41)[..6]));
    }

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
