//! A client that writes whatever bytes it likes.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{DEADLINE, Node, Person};

pub use testkit::websocket::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};
use testkit::websocket::{push_header, push_masked, upgrade};

/// Shape of a frame, valid or not.
pub struct RawFrame {
    pub first: u8,
    pub masked: bool,
    pub payload: Vec<u8>,
}

/// A whole, masked frame of `opcode`.
pub fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> RawFrame {
    RawFrame { first: 0x80 | opcode, masked: true, payload: payload.as_ref().to_vec() }
}

impl RawFrame {
    /// More fragments follow.
    pub fn unfinished(mut self) -> Self {
        self.first &= 0x7F;
        self
    }

    pub fn unmasked(mut self) -> Self {
        self.masked = false;
        self
    }

    /// With reserved bits set.
    pub fn reserved(mut self, bits: u8) -> Self {
        self.first |= bits;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.masked {
            push_masked(&mut bytes, self.first, &self.payload);
        } else {
            push_header(&mut bytes, self.first, false, self.payload.len() as u64);
            bytes.extend(&self.payload);
        }
        bytes
    }
}

/// A frame's header, without the mask: it may promise any length.
pub fn header(first: u8, masked: bool, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_header(&mut bytes, first, masked, length);
    bytes
}

/// A session on a bare socket.
pub struct RawClient {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl RawClient {
    /// Connects and upgrades, and reads `welcome`.
    pub async fn connect(node: &Node, who: &Person) -> Self {
        let mut client = Self::upgrade(node, &who.token()).await;
        let welcome = client.next_text().await;
        assert_eq!(welcome["event"], "welcome", "{welcome}");
        client
    }

    /// Connects with the smallest receive buffer there is, and reads only the handshake: the
    /// server's writes soon have nowhere to go.
    pub async fn slow(node: &Node, token: &str) -> Self {
        Self::slowly_asking(node.address(), &upgrade(node.address(), "/ws", Some(token))).await
    }

    /// Connects and upgrades, and reads nothing of what follows.
    pub async fn upgrade(node: &Node, token: &str) -> Self {
        Self::upgrade_on(TcpSocket::new_v4().expect("a socket"), node, Some(token)).await
    }

    /// Connects and upgrades without a token.
    pub async fn without_token(node: &Node) -> Self {
        Self::upgrade_on(TcpSocket::new_v4().expect("a socket"), node, None).await
    }

    async fn upgrade_on(socket: TcpSocket, node: &Node, token: Option<&str>) -> Self {
        let request = upgrade(node.address(), "/ws", token);
        Self::asking_on(socket, node.address(), &request).await
    }

    /// Connects, and upgrades by a request of one's own.
    pub async fn asking(address: SocketAddr, request: &str) -> Self {
        Self::asking_on(TcpSocket::new_v4().expect("a socket"), address, request).await
    }

    /// The same with the smallest receive buffer there is.
    pub async fn slowly_asking(address: SocketAddr, request: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a socket");
        Self::asking_on(socket, address, request).await
    }

    async fn asking_on(socket: TcpSocket, address: SocketAddr, request: &str) -> Self {
        let stream = socket.connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        let mut client = Self { stream, unread: Vec::new() };
        client.write(request).await;
        let head = loop {
            if let Some(end) = client.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break client.unread.drain(..end + 4).collect::<Vec<u8>>();
            }
            assert!(client.fill().await, "the connection ended in the handshake");
        };
        let head = String::from_utf8_lossy(&head);
        assert!(head.starts_with("HTTP/1.1 101"), "no upgrade: {head}");
        client
    }

    /// Writes bytes; the server may have closed already, which is for the reader to see.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = timeout(DEADLINE, self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the server reads");
    }

    pub async fn send(&mut self, frame: RawFrame) {
        self.write(frame.bytes()).await;
    }

    /// Sends an event in one good frame.
    pub async fn event(&mut self, event: &str, data: Value, id: &str) {
        let text = json!({"event": event, "data": data, "id": id}).to_string();
        self.send(frame(TEXT, text)).await;
    }

    /// The next frame: its opcode and payload; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, from, to)) = self.whole_frame() {
                let payload = self.unread[from..to].to_vec();
                self.unread.drain(..to);
                return Some((opcode, payload));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next frame of `opcode`, whatever comes before it.
    pub async fn next_of(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let (opcode, payload) = self.next().await.expect("the session lives");
            if opcode == wanted {
                return payload;
            }
        }
    }

    /// The next text frame's envelope.
    pub async fn next_text(&mut self) -> Value {
        serde_json::from_slice(&self.next_of(TEXT).await).expect("the server sends JSON")
    }

    /// The answer with `id`.
    pub async fn answer(&mut self, id: &str) -> Value {
        loop {
            let envelope = self.next_text().await;
            if envelope["id"] == id {
                return envelope;
            }
        }
    }

    /// Reads until the server closes; the close code, 1006 where it just ends.
    pub async fn closed(&mut self) -> u16 {
        while let Some((opcode, payload)) = self.next().await {
            if opcode == CLOSE {
                return payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
            }
        }
        1006
    }

    /// Says that nothing more will come, and reads until the server has ended it too.
    pub async fn hang_up(&mut self) {
        // The server may have been faster.
        let _ = self.stream.shutdown().await;
        while self.fill().await {
            self.unread.clear();
        }
    }

    /// Range of the first frame's payload, if it is complete.
    fn whole_frame(&self) -> Option<(u8, usize, usize)> {
        let bytes = &self.unread;
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (from, length) = match second {
            126 => (4, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
            short => (2, u64::from(short)),
        };
        let to = from + usize::try_from(length).expect("a frame of this world");
        (bytes.len() >= to).then_some((first & 0x0F, from, to))
    }

    async fn fill(&mut self) -> bool {
        self.unread.reserve(4096);
        match timeout(DEADLINE, self.stream.read_buf(&mut self.unread)).await {
            Err(_) => panic!("nothing came within {DEADLINE:?}"),
            Ok(Ok(1..)) => true,
            Ok(_) => false,
        }
    }
}
