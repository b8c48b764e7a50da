//! A WebSocket client as cheap as it can be had: it shares two cores with what it measures.

use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use testkit::websocket::upgrade;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connection::PATIENCE;
use crate::frame::{self, Frame, Inbox};

/// The reading half.
pub struct WebSocket {
    stream: Rc<TcpStream>,
    inbox: Inbox,
}

/// The writing half; any task may hold it.
#[derive(Clone)]
pub struct Writer(Rc<TcpStream>);

impl WebSocket {
    /// Upgrades at `path`, with a bearer token if there is one, and waits for no more than the
    /// server's consent.
    pub async fn open(address: SocketAddr, path: &str, token: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        write(&stream, upgrade(address, path, token).as_bytes())?;

        let mut head = Vec::with_capacity(2048);
        let end = loop {
            timeout(PATIENCE, read(&stream, &mut head))
                .await
                .context("no answer to an upgrade")??;
            if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        ensure!(
            head.starts_with(b"HTTP/1.1 101"),
            "no upgrade: {}",
            String::from_utf8_lossy(&head)
        );
        Ok(Self { stream: Rc::new(stream), inbox: Inbox::with(&head[end..]) })
    }

    /// The half to write with.
    pub fn writer(&self) -> Writer {
        Writer(self.stream.clone())
    }

    /// Sends a close frame.
    pub fn close(&self) -> Result<()> {
        let mut frame = Vec::new();
        frame::push_close(&mut frame);
        write(&self.stream, &frame)
    }

    /// Ends the connection with a reset.
    pub fn reset(self) -> Result<()> {
        Ok(self.stream.set_zero_linger()?)
    }

    /// Range of the next text frame's payload. Pings are answered on the way.
    pub async fn text(&mut self) -> Result<Range<usize>> {
        loop {
            match self.inbox.next()? {
                Some(Frame::Text(payload)) => return Ok(payload),
                Some(Frame::Ping(payload)) => {
                    let mut pong = Vec::new();
                    frame::push_pong(&mut pong, self.inbox.payload(payload));
                    write(&self.stream, &pong)?;
                }
                Some(Frame::Pong) => {}
                Some(Frame::Close(code)) => bail!("the server closed a session with {code}"),
                None => read(&self.stream, self.inbox.space()).await?,
            }
        }
    }

    /// The payload of a frame that was just taken.
    pub fn payload(&self, place: Range<usize>) -> &[u8] {
        self.inbox.payload(place)
    }
}

impl Writer {
    /// Sends one text frame.
    pub fn send(&self, text: &str) -> Result<()> {
        let mut frame = Vec::with_capacity(text.len() + 14);
        frame::push_text(&mut frame, text.as_bytes());
        write(&self.0, &frame)
    }
}

/// Writes at once or not at all: what is in flight is bounded far below a socket's buffer, so a
/// socket that does not take it has stopped being read.
fn write(stream: &TcpStream, bytes: &[u8]) -> Result<()> {
    let written = stream.try_write(bytes).context("the server has stopped reading")?;
    ensure!(written == bytes.len(), "the server has stopped reading");
    Ok(())
}

/// Waits for bytes and appends them.
async fn read(stream: &TcpStream, bytes: &mut Vec<u8>) -> Result<()> {
    loop {
        stream.readable().await?;
        match stream.try_read_buf(bytes) {
            Ok(0) => bail!("the server hung up"),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}
