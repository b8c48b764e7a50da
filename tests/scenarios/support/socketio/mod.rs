//! Clients of the Socket.IO front on bare sockets, over each of its transports.

mod client;
mod http;
pub mod packet;
mod polling;

use std::net::SocketAddr;

pub use client::IoClient;
pub use http::{Answer, Line};
pub use packet::Packet;
pub use polling::Polling;
use serde_json::json;

use super::raw::{TEXT, frame};
use super::{Node, Person, RawClient, TestApp, all, eventually};

/// Headers that make a WebSocket of a request.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The character between the packets of a body.
pub const SEPARATOR: char = '\u{1e}';

/// The way in which a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Polling,
    WebSocket,
    /// A WebSocket that began as polling.
    Upgrade,
}

impl Via {
    pub const ALL: [Self; 3] = [Self::Polling, Self::WebSocket, Self::Upgrade];
}

/// A connection about to be made.
#[derive(Clone)]
pub struct Opening {
    address: SocketAddr,
    path: String,
    query: String,
    headers: String,
}

impl Node {
    /// A handshake with `/socket.io/`, with nothing in it that need not be.
    pub fn socketio(&self) -> Opening {
        let path = "/socket.io/".to_owned();
        let (query, headers) = (String::new(), String::new());
        Opening { address: self.address(), path, query, headers }
    }

    /// Connects without a namespace.
    pub async fn io_open(&self, via: Via) -> IoClient {
        self.socketio().open(via).await
    }

    /// Connects `who` to a namespace, and reads `welcome`.
    pub async fn io(&self, via: Via, nsp: &str, who: &Person) -> IoClient {
        let mut client = self.io_open(via).await;
        client.welcomed(nsp, json!({"token": who.token()})).await;
        client
    }

    /// The answer to a request of `/socket.io/` with this query.
    pub async fn io_ask(&self, method: &str, query: &str, headers: &str) -> Answer {
        let target = format!("/socket.io/?{query}");
        Line::to(self.address()).await.ask(method, &target, headers, None).await
    }
}

impl TestApp {
    /// The sum of a counter over all nodes, 0 while it has not counted.
    pub async fn counted(&self, name: &str) -> f64 {
        let nodes = self.addresses().into_iter().map(Node::elsewhere);
        let counts = all(nodes.map(async |node| node.try_metric(name).await)).await;
        counts.into_iter().flatten().sum()
    }

    /// Waits until so many sessions are open, on all nodes together.
    pub async fn has_sessions(&self, count: u32) {
        eventually(&format!("{count} sessions are open"), || async {
            let sessions = self.metric("frontdesk_sessions").await;
            (sessions == f64::from(count)).then_some(())
        })
        .await;
    }
}

impl Opening {
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// With parameters of one's own.
    pub fn query(mut self, query: &str) -> Self {
        self.query = format!("&{query}");
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    fn target(&self, transport: &str) -> String {
        format!("{}?EIO=4&transport={transport}{}", self.path, self.query)
    }

    /// The answer to the handshake of polling.
    pub async fn poll(&self) -> Answer {
        let mut line = Line::to(self.address).await;
        line.ask("GET", &self.target("polling"), &self.headers, None).await
    }

    /// The answer to the handshake of a WebSocket that must be refused.
    pub async fn no_socket(&self) -> Answer {
        let headers = format!("{UPGRADE}{}", self.headers);
        let mut line = Line::to(self.address).await;
        line.ask("GET", &self.target("websocket"), &headers, None).await
    }

    /// Polls, which must be accepted.
    pub async fn polling(self) -> Polling {
        let text = self.poll().await.is_ok();
        Polling::new(self.address, self.path, self.headers, &text)
    }

    /// Makes a WebSocket, and reads its first frame.
    pub async fn socket(self) -> (RawClient, String) {
        let mut socket = socket(self.address, &self.target("websocket"), &self.headers).await;
        let open = text_of(&mut socket).await;
        (socket, open)
    }

    /// Makes the connection, which must be accepted.
    pub async fn open(self, via: Via) -> IoClient {
        if via == Via::WebSocket {
            let address = self.address;
            let (socket, open) = self.socket().await;
            return IoClient::on_socket(address, socket, &open);
        }
        let mut client = IoClient::on_polling(self.polling().await);
        if via == Via::Upgrade {
            client.upgrade().await;
        }
        client
    }
}

/// Makes a WebSocket, which must be accepted, and reads nothing.
pub async fn socket(address: SocketAddr, target: &str, headers: &str) -> RawClient {
    let headers = format!("{UPGRADE}{headers}");
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    RawClient::asking(address, &request).await
}

/// The next text frame.
pub async fn text_of(socket: &mut RawClient) -> String {
    String::from_utf8(socket.next_of(TEXT).await).expect("a text frame is UTF-8")
}

/// Sends a text frame.
pub async fn say_to(socket: &mut RawClient, text: &str) {
    socket.send(frame(TEXT, text)).await;
}
