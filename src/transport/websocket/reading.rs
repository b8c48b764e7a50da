//! Back-pressure: a client's bytes are taken in frame by frame, and only while the session can serve
//! them. What is not read stays in the kernel's buffers, and at last with the client.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::error::PayloadError;
use bytes::{Buf, Bytes};
use futures_util::Stream;

/// The longest header of a frame, its mask included (RFC 6455, section 5.2).
const HEADER: usize = 14;
/// The most bytes in a control frame (RFC 6455, section 5.5).
const CONTROL: u64 = 125;

/// The gate between a connection and its session. Shared by the session's actor, which opens and shuts
/// it, and the [`FrameReader`].
pub struct Reading {
    open: Cell<bool>,
    /// The session has ended: what still comes is dropped, up to the peer's close frame.
    discards: Cell<bool>,
    /// Frames that have begun, and `true` while the last one is not whole.
    frames: Cell<(u32, bool)>,
    /// Woken when reading may go on.
    waker: RefCell<Option<Waker>>,
}

impl Reading {
    #[must_use]
    pub fn new(open: bool) -> Rc<Self> {
        let (open, discards, frames) = (Cell::new(open), Cell::new(false), Cell::default());
        Rc::new(Self { open, discards, frames, waker: RefCell::new(None) })
    }

    /// Reads on, or hands no further frame on.
    pub fn set_open(&self, open: bool) {
        self.open.set(open);
        self.wake();
    }

    /// The number of the frame that is not whole.
    #[must_use]
    pub fn unfinished(&self) -> Option<u32> {
        let (count, is_unfinished) = self.frames.get();
        is_unfinished.then_some(count)
    }

    /// Drops what still comes.
    pub fn discard(&self) {
        self.discards.set(true);
        self.wake();
    }

    /// Only a reader that found the gate shut has left a waker.
    fn wake(&self) {
        if (self.discards.get() || self.open.get())
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    fn wait(&self, cx: &Context<'_>) {
        self.waker.replace(Some(cx.waker().clone()));
    }
}

/// Hands a connection's bytes on to the codec, one frame at a time and while [`Reading`] lets it.
///
/// It checks each header before the codec sees it. The codec would first take in all the bytes that a
/// header claims, and cannot go on behind a header that it has refused.
pub struct FrameReader<S> {
    stream: S,
    reading: Rc<Reading>,
    /// The most bytes in a message, its fragments together.
    most: u64,
    /// Bytes that were taken from the stream and not handed on.
    chunk: Bytes,
    header: [u8; HEADER],
    /// Bytes of the header that have arrived.
    filled: usize,
    /// Bytes of the frame's payload that are missing.
    payload: u64,
    /// Bytes that the fragments of the message so far have claimed.
    message: u64,
    /// A whole frame was handed on, and the codec has it to decode first.
    passed: bool,
    /// The frame is the peer's close.
    closes: bool,
}

impl<S> FrameReader<S> {
    /// Reads a connection whose messages may have `most` bytes.
    #[must_use]
    pub fn new(stream: S, reading: Rc<Reading>, most: usize) -> Self {
        Self {
            stream,
            reading,
            most: most as u64,
            chunk: Bytes::new(),
            header: [0; HEADER],
            filled: 0,
            payload: 0,
            message: 0,
            passed: false,
            closes: false,
        }
    }

    /// The codec has decoded all that was handed on, and asks for more.
    pub fn decoded(&mut self) {
        self.passed = false;
    }

    /// The next bytes to hand on of what was read; `None` where more must be read first.
    ///
    /// # Errors
    /// A header that breaks the rules, or claims too much. The next call begins behind it.
    fn next_part(&mut self) -> Result<Option<Bytes>, PayloadError> {
        if self.payload > 0 && self.filled == 0 {
            return Ok(self.take(0));
        }
        if self.filled == 0
            && let Some((size, length)) = claimed(&self.chunk)
            && size <= self.chunk.len()
        {
            let judged = self.begin(self.chunk.first_chunk().copied(), length);
            if judged.is_err() {
                self.chunk.advance(size);
            }
            judged?;
            return Ok(self.take(size));
        }
        // A header that comes in pieces. It is judged as soon as its length is known.
        while !self.chunk.is_empty() {
            let byte = self.chunk.get_u8();
            if let Some(place) = self.header.get_mut(self.filled) {
                *place = byte;
            }
            let known_before = claimed(self.header.get(..self.filled).unwrap_or_default());
            self.filled += 1;
            let header = self.header.get(..self.filled).unwrap_or_default();
            let Some((size, length)) = claimed(header) else { continue };
            let header = Bytes::copy_from_slice(header);
            if known_before.is_none() {
                let judged = self.begin(header.first_chunk().copied(), length);
                if judged.is_err() {
                    self.payload = length.saturating_add((size - self.filled) as u64);
                    self.filled = 0;
                }
                judged?;
            }
            if size == self.filled {
                self.filled = 0;
                self.passed = length == 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// The first `header` bytes of what was read, and the payload behind them as far as it is there.
    fn take(&mut self, header: usize) -> Option<Bytes> {
        let payload = usize::try_from(self.payload)
            .unwrap_or(usize::MAX)
            .min(self.chunk.len().saturating_sub(header));
        self.payload -= payload as u64;
        self.passed = self.payload == 0;
        Some(self.chunk.split_to(header + payload)).filter(|part| !part.is_empty())
    }

    /// Holds a header against RFC 6455, section 5.2, and the limit.
    fn begin(&mut self, header: Option<[u8; 2]>, length: u64) -> Result<(), PayloadError> {
        self.payload = length;
        let (count, _) = self.reading.frames.get();
        self.reading.frames.set((count.wrapping_add(1), true));
        let [first, second] = header.unwrap_or_default();
        let (opcode, is_last, is_masked) = (first & 0x0f, first & 0x80 != 0, second & 0x80 != 0);
        let is_control = opcode & 0x08 != 0;
        self.closes = opcode == 0x08;
        let is_known = matches!(opcode, 0x0..=0x2 | 0x8..=0xa);
        let is_whole = !is_control || (is_last && length <= CONTROL);
        if first & 0x70 != 0 || !is_known || !is_masked || !is_whole {
            return Err(PayloadError::EncodingCorrupted);
        }
        if is_control {
            return Ok(());
        }
        let claimed = self.message.saturating_add(length);
        if claimed > self.most {
            return Err(PayloadError::Overflow);
        }
        self.message = if is_last { 0 } else { claimed };
        Ok(())
    }

    /// True if the peer's close frame has arrived whole.
    fn is_closed(&self) -> bool {
        self.closes && self.payload == 0
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

impl<S> Stream for FrameReader<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let discards = this.reading.discards.get();
            if discards && this.is_closed() {
                return Poll::Ready(None);
            }
            // The codec takes all that is ready before it decodes. After a whole frame nothing is: it
            // then decodes that one, and asks again.
            if !discards && std::mem::take(&mut this.passed) {
                return Poll::Pending;
            }
            let is_between_frames = this.filled == 0 && this.payload == 0;
            if !discards && is_between_frames && !this.reading.open.get() {
                this.reading.wait(cx);
                return Poll::Pending;
            }
            let part = this.next_part();
            let (count, _) = this.reading.frames.get();
            this.reading.frames.set((count, this.filled > 0 || this.payload > 0));
            match part {
                Ok(None) => {}
                _ if discards => continue,
                Ok(part) => return Poll::Ready(part.map(Ok)),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match Pin::new(&mut this.stream).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => this.chunk = chunk,
                Poll::Ready(_) if discards => return Poll::Ready(None),
                otherwise => return otherwise,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::stream;
    use futures_util::task::noop_waker;

    use super::*;

    /// A masked frame of `length` zeros, its first byte `first`.
    fn frame(first: u8, length: u64) -> Vec<u8> {
        let mut bytes = vec![first];
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

    type Chunks = stream::Iter<std::vec::IntoIter<Result<Bytes, PayloadError>>>;

    fn reader(bytes: &[u8], chunk: usize, most: usize) -> FrameReader<Chunks> {
        let chunks: Vec<_> =
            bytes.chunks(chunk).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        FrameReader::new(stream::iter(chunks), Reading::new(true), most)
    }

    /// All that can be read now: whole frames, the rest of one, and how it ended.
    fn read<S>(reader: &mut FrameReader<S>) -> (Vec<Vec<u8>>, Poll<Result<(), PayloadError>>)
    where
        S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    {
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        let (mut frames, mut part) = (Vec::new(), Vec::new());
        loop {
            match reader.poll_next_unpin(&mut cx) {
                Poll::Ready(Some(Ok(bytes))) => part.extend(bytes),
                Poll::Pending if part.is_empty() => return (frames, Poll::Pending),
                Poll::Pending => frames.push(std::mem::take(&mut part)),
                Poll::Ready(None) => return (frames, Poll::Ready(Ok(()))),
                Poll::Ready(Some(Err(error))) => return (frames, Poll::Ready(Err(error))),
            }
        }
    }

    #[test]
    fn frames_are_handed_on_one_by_one_in_whatever_pieces_they_come() {
        let frames: Vec<_> =
            [0, 1, 125, 126, 500, 65_535, 65_536].map(|length| frame(0x81, length)).into();
        let bytes = frames.concat();
        for chunk in [1, 3, 1000, bytes.len()] {
            let (read, end) = read(&mut reader(&bytes, chunk, 65_536));
            assert_eq!(read, frames, "in chunks of {chunk}");
            assert!(matches!(end, Poll::Ready(Ok(()))));
        }
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_before_its_payload() {
        let mut bytes = frame(0x81, 3);
        bytes.extend(frame(0x81, 70_000));
        // Its mask has not come yet.
        bytes.extend([0x81, 0x80 | 127, 0xff, 255, 255, 255, 255, 255, 255, 255]);
        for chunk in [1, 2, 7, 1000, bytes.len()] {
            let (read, end) = read(&mut reader(&bytes, chunk, 70_000));
            assert_eq!(read.len(), 2, "in chunks of {chunk}");
            assert!(matches!(end, Poll::Ready(Err(PayloadError::Overflow))));
        }
    }

    #[test]
    fn fragments_are_held_to_the_limit_together() {
        let whole = [frame(0x01, 60), frame(0x89, 60), frame(0x80, 40), frame(0x01, 60)].concat();
        let mut bytes = whole.clone();
        bytes.extend(&frame(0x00, 41)[..6]);
        assert!(matches!(read(&mut reader(&whole, 50, 100)).1, Poll::Ready(Ok(()))));
        let (read, end) = read(&mut reader(&bytes, 50, 100));
        assert_eq!(read.len(), 4, "a ping between them does not count, and a message begins anew");
        assert!(matches!(end, Poll::Ready(Err(PayloadError::Overflow))));
    }

    #[test]
    fn a_header_that_breaks_the_rules_is_refused() {
        let unmasked = vec![0x81, 0];
        for bytes in [unmasked, frame(0xc1, 1), frame(0x83, 1), frame(0x09, 1), frame(0x89, 126)] {
            let end = read(&mut reader(&bytes, 100, 1000)).1;
            assert!(matches!(end, Poll::Ready(Err(PayloadError::EncodingCorrupted))), "{bytes:?}");
        }
    }

    #[test]
    fn no_frame_is_read_while_the_session_takes_none() {
        let frames = [frame(0x81, 1), frame(0x81, 2), frame(0x81, 3)];
        let mut reader = reader(&frames.concat(), 1000, 1000);
        let reading = Rc::clone(&reader.reading);
        reading.set_open(false);
        assert!(read(&mut reader).0.is_empty());
        reading.set_open(true);
        assert_eq!(read(&mut reader).0.len(), 3);
    }

    #[test]
    fn what_comes_after_the_end_is_dropped_up_to_the_close_of_the_peer() {
        let bytes = [frame(0x81, 500), frame(0x81, 9), frame(0x88, 2), frame(0x81, 1)].concat();
        for chunk in [1, 7, bytes.len()] {
            let mut reader = reader(&bytes, chunk, 100);
            assert!(matches!(read(&mut reader).1, Poll::Ready(Err(PayloadError::Overflow))));
            reader.reading.discard();
            let (frames, end) = read(&mut reader);
            assert!(frames.is_empty() && matches!(end, Poll::Ready(Ok(()))));
        }
    }
}
