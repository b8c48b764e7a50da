//! A session's connection, whatever carries it.

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::timeout;

use crate::event::Event;
use crate::long_poll::{LongPoll, Outbox};
use crate::transport::{CLOSE, Door, Kind, LEAVE, PONG, Transport, Visit};
use crate::websocket::{WebSocket, Writer};

/// Deadline for one awaited frame.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The reading half of a session.
pub struct Connection {
    transport: Transport,
    reader: Reader,
}

enum Reader {
    WebSocket(WebSocket),
    LongPoll(Box<LongPoll>),
}

/// The writing half; any task may hold it.
#[derive(Clone)]
pub struct Sender {
    transport: Transport,
    half: Half,
}

#[derive(Clone)]
enum Half {
    WebSocket(Writer),
    LongPoll(Rc<Outbox>),
}

impl Connection {
    /// Connects and shows the token.
    pub async fn open(door: Door, visit: &Visit) -> Result<Self> {
        let Door { address, transport } = door;
        let path = transport.path(visit);
        let reader = match transport {
            Transport::Ws => {
                Reader::WebSocket(WebSocket::open(address, &path, Some(&visit.token)).await?)
            }
            Transport::Socketio => Reader::WebSocket(WebSocket::open(address, &path, None).await?),
            Transport::Polling => Reader::LongPoll(Box::new(LongPoll::open(address, &path).await?)),
        };
        let mut connection = Self { transport, reader };
        if let Some(hello) = transport.hello(visit) {
            // A client waits for the server's first packet.
            timeout(PATIENCE, connection.any_text()).await.context("no first packet")??;
            connection.sender().send(&hello)?;
        }
        Ok(connection)
    }

    /// The half to write with.
    pub fn sender(&self) -> Sender {
        let half = match &self.reader {
            Reader::WebSocket(socket) => Half::WebSocket(socket.writer()),
            Reader::LongPoll(poll) => Half::LongPoll(poll.outbox()),
        };
        Sender { transport: self.transport, half }
    }

    /// Ends the session as a client does that has finished.
    pub async fn close(self) -> Result<()> {
        let sender = self.sender();
        if self.transport != Transport::Ws {
            sender.send(LEAVE)?;
        }
        match self.reader {
            Reader::WebSocket(socket) => socket.close(),
            Reader::LongPoll(mut poll) => {
                sender.send(CLOSE)?;
                poll.flush().await
            }
        }
    }

    /// Ends the connection with a reset.
    pub fn reset(self) -> Result<()> {
        match self.reader {
            Reader::WebSocket(socket) => socket.reset(),
            Reader::LongPoll(poll) => poll.reset(),
        }
    }

    /// The next event.
    pub async fn next(&mut self) -> Result<Event<'_>> {
        let text = self.text().await?;
        self.event(text)
    }

    /// The next event of this name, past whatever comes before it; an exception is an error.
    pub async fn wait_for(&mut self, name: &str) -> Result<Event<'_>> {
        loop {
            let text = timeout(PATIENCE, self.text())
                .await
                .with_context(|| format!("{name} never came"))??;
            let event = self.event(text.clone())?;
            ensure!(event.event != "exception", "{}: {}", event.data.code, event.data.message);
            if event.event == name {
                // Read again, since a borrow that leaves a loop on one path only is more than the
                // compiler follows.
                return self.event(text);
            }
        }
    }

    fn event(&self, text: Range<usize>) -> Result<Event<'_>> {
        self.transport.event(self.payload(text))
    }

    /// Range of the next text that is an event. Pings are answered on the way.
    async fn text(&mut self) -> Result<Range<usize>> {
        loop {
            let text = self.any_text().await?;
            match self.transport.kind(self.payload(text.clone())) {
                Kind::Event => return Ok(text),
                Kind::Ping => self.sender().send(PONG)?,
                Kind::Other => {}
                Kind::End => {
                    bail!("the server said {}", String::from_utf8_lossy(self.payload(text)))
                }
            }
        }
    }

    async fn any_text(&mut self) -> Result<Range<usize>> {
        match &mut self.reader {
            Reader::WebSocket(socket) => socket.text().await,
            Reader::LongPoll(poll) => poll.text().await,
        }
    }

    fn payload(&self, place: Range<usize>) -> &[u8] {
        match &self.reader {
            Reader::WebSocket(socket) => socket.payload(place),
            Reader::LongPoll(poll) => poll.payload(place),
        }
    }
}

impl Sender {
    /// Sends a request that wants an ack.
    pub fn request(&self, event: &str, id: usize, data: &str) -> Result<()> {
        self.send(&self.transport.request(event, id, data))
    }

    /// The transport of the session.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    fn send(&self, text: &str) -> Result<()> {
        match &self.half {
            Half::WebSocket(writer) => writer.send(text),
            Half::LongPoll(outbox) => {
                outbox.push(text);
                Ok(())
            }
        }
    }
}
