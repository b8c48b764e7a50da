//! WebSocket of a connection: packets out as they are handed over, frames in one by one.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{CloseCode, CloseReason, Codec, Message, ProtocolError};
use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use futures_channel::mpsc;
use futures_util::Stream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::codec::Encoder;

use super::delivery::{Batch, Delivery};
use super::inbound::{Packets, Received};
use crate::protocol::Ending;
use crate::transport::websocket::{Incoming, Messages};

/// Things that wait for a socket: a batch, the answer to the one probe, that to a ping, and the close.
/// The channel has a place more for each of its two senders, the connection and the reader.
const MOST_WAITING: usize = 4;

/// One of a connection's WebSockets, by its number; POSTs have 0.
pub type Source = u32;

/// A WebSocket has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SocketGone {
    pub source: Source,
    pub ending: Ending,
}

/// A connection's end of a WebSocket. Dropped, it closes the socket behind what was handed over.
pub struct Socket {
    pub source: Source,
    out: mpsc::Sender<ToSocket>,
    _open: oneshot::Sender<()>,
}

enum ToSocket {
    Batch(Batch),
    /// A packet of the upgrade, which no session sends.
    Packet(&'static str),
    /// The answer to a ping of the WebSocket, and who waits until it is written.
    Pong(Bytes, oneshot::Sender<()>),
    Close(CloseCode),
}

/// The other end, for the connection's request: where its frames are read from, and the body of the
/// response to which they are written.
pub struct SocketEnds {
    source: Source,
    pongs: mpsc::Sender<ToSocket>,
    open: oneshot::Receiver<()>,
    body: SocketBody,
    read: oneshot::Sender<()>,
}

impl Socket {
    /// The two ends of a socket.
    #[must_use]
    pub fn new(source: Source) -> (Self, SocketEnds) {
        let (out, packets) = mpsc::channel(MOST_WAITING);
        let ((open, is_open), (read, is_read)) = (oneshot::channel(), oneshot::channel());
        let codec = Codec::new();
        let body = SocketBody { packets, codec, written: None, is_closed: false, read: is_read };
        let ends = SocketEnds { source, pongs: out.clone(), open: is_open, body, read };
        (Self { source, out, _open: open }, ends)
    }

    /// Hands packets over; their delivery says what became of them.
    pub fn send(&mut self, batch: Batch) {
        self.hand_over(ToSocket::Batch(batch));
    }

    /// Hands over the answer to the probe.
    pub fn say(&mut self, packet: &'static str) {
        self.hand_over(ToSocket::Packet(packet));
    }

    /// Closes the socket behind what was handed over, by the ending's code.
    pub fn close(&mut self, ending: Ending) {
        let code = ending.close().map_or(CloseCode::Normal, |(code, _)| code.into());
        self.hand_over(ToSocket::Close(code));
    }

    fn hand_over(&mut self, message: ToSocket) {
        // A socket that has gone drops it, and its reader says so.
        if let Err(refused) = self.out.try_send(message) {
            drop(refused);
        }
    }
}

impl SocketEnds {
    /// Reads frames from `payload` for the connection, on this thread; the body of the response.
    pub fn start<S>(
        self,
        payload: S,
        most: usize,
        connection: (Recipient<Received>, Recipient<SocketGone>),
        close_timeout: Duration,
    ) -> SocketBody
    where
        S: Stream<Item = Result<Bytes, PayloadError>> + Unpin + 'static,
    {
        let Self { source, pongs, open, body, read } = self;
        let pongs = Some(pongs);
        let messages = Messages::new(payload, most);
        let reader = Reader { messages, source, connection, pongs, _read: read };
        actix::spawn(reader.run(open, close_timeout));
        body
    }
}

struct Reader<S> {
    messages: Messages<S>,
    source: Source,
    connection: (Recipient<Received>, Recipient<SocketGone>),
    /// There until the client has closed, or the server.
    pongs: Option<mpsc::Sender<ToSocket>>,
    /// Dropped at the end of reading.
    _read: oneshot::Sender<()>,
}

impl<S> Reader<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    /// Reads until either side closes. Where the server has, what still comes is dropped up to the
    /// client's close, and not for long: ended with bytes unread, the connection would be reset, and the
    /// client might not see what was written last.
    async fn run(mut self, mut open: oneshot::Receiver<()>, close_timeout: Duration) {
        let ending = tokio::select! {
            ending = self.read() => ending,
            _ = &mut open => None,
        };
        // The body ends when nobody can write to it any more.
        self.pongs = None;
        match ending {
            // Bounded: one of each socket.
            Some(ending) => {
                self.connection.1.do_send(SocketGone { source: self.source, ending });
            }
            None => {
                // Boxed: all idle sockets would have room for it.
                let closed = async { while is_open(self.messages.next().await) {} };
                let _ = Box::pin(timeout(close_timeout, closed)).await;
            }
        }
    }

    /// Hands each message on, and waits until it was taken. `None` once the connection has ended.
    async fn read(&mut self) -> Option<Ending> {
        loop {
            let packets = match self.messages.next().await {
                Ok(Incoming::Text(text)) => Packets::Text(text),
                Ok(Incoming::Binary(bytes)) => Packets::Binary(bytes),
                Ok(Incoming::Ping(payload)) => {
                    let (written, is_written) = oneshot::channel();
                    let pongs = self.pongs.as_mut()?;
                    poll_fn(|cx| pongs.poll_ready(cx)).await.ok()?;
                    if pongs.try_send(ToSocket::Pong(payload, written)).is_err() {
                        return None;
                    }
                    is_written.await.ok()?;
                    continue;
                }
                Ok(Incoming::Nothing) => continue,
                Ok(Incoming::Close(_)) => return Some(Ending::Closed),
                Err(broken) => return Some(broken.into()),
            };
            let (taken, is_taken) = oneshot::channel();
            // Bounded: one of each socket.
            self.connection.0.do_send(Received { source: self.source, packets, taken });
            is_taken.await.ok()?;
        }
    }
}

fn is_open<E>(message: Result<Incoming, E>) -> bool {
    !matches!(message, Ok(Incoming::Close(_)) | Err(_))
}

/// The body of a WebSocket's response: frames for the client.
pub struct SocketBody {
    packets: mpsc::Receiver<ToSocket>,
    codec: Codec,
    /// Delivered as soon as more is asked for.
    written: Option<Written>,
    /// The close frame is written; what is left is the client's.
    is_closed: bool,
    read: oneshot::Receiver<()>,
}

enum Written {
    Batch(Delivery),
    Pong(oneshot::Sender<()>),
}

impl SocketBody {
    fn encode(&mut self, message: ToSocket, chunk: &mut BytesMut) -> Result<(), ProtocolError> {
        match message {
            ToSocket::Batch(Batch { packets, delivery }) => {
                self.written = Some(Written::Batch(delivery));
                for packet in packets {
                    self.codec.encode(Message::Text(packet), chunk)?;
                }
            }
            ToSocket::Packet(packet) => self.codec.encode(Message::Text(packet.into()), chunk)?,
            ToSocket::Pong(payload, written) => {
                self.written = Some(Written::Pong(written));
                self.codec.encode(Message::Pong(payload), chunk)?;
            }
            ToSocket::Close(code) => {
                self.is_closed = true;
                let reason = CloseReason { code, description: None };
                self.codec.encode(Message::Close(Some(reason)), chunk)?;
            }
        }
        Ok(())
    }
}

impl Stream for SocketBody {
    type Item = Result<Bytes, ProtocolError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match this.written.take() {
            Some(Written::Batch(delivery)) => delivery.done(),
            Some(Written::Pong(written)) => {
                // The reader may have ended meanwhile.
                let _ = written.send(());
            }
            None => {}
        }
        if this.is_closed {
            return Pin::new(&mut this.read).poll(cx).map(|_| None);
        }
        let mut chunk = BytesMut::new();
        let message = ready!(Pin::new(&mut this.packets).poll_next(cx));
        let message = message.unwrap_or(ToSocket::Close(CloseCode::Normal));
        let encoded = this.encode(message, &mut chunk);
        Poll::Ready(Some(encoded.map(|()| chunk.freeze())))
    }
}
