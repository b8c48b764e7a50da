//! Messages of a WebSocket, for a reader that is no actor.

use actix_http::ws::{Codec, Frame, Message, ProtocolError};
use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::{Stream, StreamExt};
use tokio_util::codec::Decoder;

use super::frames::{Broken, Fragments, Incoming};
use super::reading::{FrameReader, Reading};

/// Reads a connection message by message; bytes that are not asked for stay with the kernel.
pub struct Messages<S> {
    reader: FrameReader<S>,
    codec: Codec,
    buffer: BytesMut,
    fragments: Fragments,
}

impl<S> Messages<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    /// Reads messages of `most` bytes from a connection's bytes.
    #[must_use]
    pub fn new(stream: S, most: usize) -> Self {
        Self {
            reader: FrameReader::new(stream, Reading::new(true), most),
            codec: Codec::new().max_size(most),
            buffer: BytesMut::new(),
            fragments: Fragments::new(most),
        }
    }

    /// The next message, or a part of one.
    ///
    /// # Errors
    /// The connection is over: its bytes break the rules, are too many, or have ended.
    pub async fn next(&mut self) -> Result<Incoming, Broken> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.buffer)? {
                self.reader.decoded();
                if self.buffer.is_empty() {
                    // An idle connection keeps no buffer.
                    self.buffer = BytesMut::new();
                }
                return self.fragments.take(message(frame)?);
            }
            match self.reader.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(PayloadError::Overflow)) => return Err(Broken::TooLarge),
                Some(Err(PayloadError::EncodingCorrupted)) => return Err(Broken::Frame),
                Some(Err(_)) | None => return Err(Broken::Gone),
            }
        }
    }
}

fn message(frame: Frame) -> Result<Result<Message, ProtocolError>, Broken> {
    Ok(Ok(match frame {
        Frame::Text(bytes) => Message::Text(ByteString::try_from(bytes).map_err(|_| Broken::Utf8)?),
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Continuation(item) => Message::Continuation(item),
        Frame::Ping(bytes) => Message::Ping(bytes),
        Frame::Pong(bytes) => Message::Pong(bytes),
        Frame::Close(reason) => Message::Close(reason),
    }))
}
