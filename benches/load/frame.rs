//! The little of RFC 6455 that a client under load needs: small masked text frames out, and as many
//! whole frames as one read brought in.

use std::ops::Range;

use anyhow::{Result, bail};
use testkit::websocket::{CLOSE, FINAL, PING, PONG, TEXT, push_masked};

/// Appends a masked text frame.
pub fn push_text(out: &mut Vec<u8>, payload: &[u8]) {
    push_masked(out, FINAL | TEXT, payload);
}

/// Appends the answer to a ping.
pub fn push_pong(out: &mut Vec<u8>, payload: &[u8]) {
    push_masked(out, FINAL | PONG, payload);
}

/// Appends a close frame: 1000, done.
pub fn push_close(out: &mut Vec<u8>) {
    push_masked(out, FINAL | CLOSE, &1000_u16.to_be_bytes());
}

/// A whole frame in an [`Inbox`], its payload by place.
pub enum Frame {
    Text(Range<usize>),
    Ping(Range<usize>),
    Pong,
    Close(u16),
}

/// Bytes from a socket that are not parsed yet.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    /// Begins with what was read behind an upgrade's head.
    pub fn with(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), start: 0 }
    }

    /// The buffer's end for the next read; parsed bytes are removed first.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.reserve(4096);
        &mut self.bytes
    }

    /// Takes the next whole frame, if there is one.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        let bytes = &self.bytes[self.start..];
        let &[head, size, ref rest @ ..] = bytes else { return Ok(None) };
        let (header, length) = match (size, rest) {
            (0..126, _) => (2, usize::from(size)),
            (126, &[a, b, ..]) => (4, usize::from(u16::from_be_bytes([a, b]))),
            (127, &[a, b, c, d, e, f, g, h, ..]) => {
                (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]) as usize)
            }
            (126 | 127, _) => return Ok(None),
            _ => bail!("the server masked a frame"),
        };
        if bytes.len() < header + length {
            return Ok(None);
        }
        let payload = self.start + header..self.start + header + length;
        self.start = payload.end;
        let frame = match (head & 0x80, head & 0x0f) {
            (0x80, TEXT) => Frame::Text(payload),
            (0x80, PING) => Frame::Ping(payload),
            (0x80, PONG) => Frame::Pong,
            (0x80, CLOSE) => Frame::Close(match self.bytes[payload] {
                [a, b, ..] => u16::from_be_bytes([a, b]),
                _ => 1005,
            }),
            _ => {
                bail!("the server sent a frame of a kind that it has no reason to send ({head:#x})")
            }
        };
        Ok(Some(frame))
    }

    /// The payload of a frame that was just taken.
    pub fn payload(&self, place: Range<usize>) -> &[u8] {
        &self.bytes[place]
    }
}
