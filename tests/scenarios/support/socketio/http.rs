//! HTTP/1.1 on a bare socket: a request may stay half written, and an answer unread.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::DEADLINE;

/// A connection for one request after the other.
pub struct Line {
    /// Missing where nobody listens, which is for the reader to see.
    stream: Option<TcpStream>,
    address: SocketAddr,
    unread: Vec<u8>,
}

/// An answer of HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub text: String,
}

impl Answer {
    /// The values of a header, joined as HTTP allows.
    pub fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.map(|(_, value)| value.trim().to_owned()).collect::<Vec<_>>().join(", ")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Asserts that it is a refusal of Engine.IO.
    #[track_caller]
    pub fn is_refusal(&self, status: u16, code: u64) {
        let body = self.json();
        assert_eq!((self.status, &body["code"]), (status, &json!(code)), "{self:?}");
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        assert!(self.header("content-type").starts_with("application/json"), "{self:?}");
    }

    /// True if its connection takes no further request.
    pub fn is_last(&self) -> bool {
        self.header("connection").eq_ignore_ascii_case("close")
    }

    /// The text of an answer that must be a 200.
    #[track_caller]
    #[expect(clippy::wrong_self_convention, reason = "as `Answer::is`")]
    pub fn is_ok(self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.text
    }
}

impl Line {
    pub async fn to(address: SocketAddr) -> Self {
        Self::on(TcpSocket::new_v4().expect("a socket"), address).await
    }

    /// With the smallest receive buffer there is.
    pub async fn narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a socket");
        Self::on(socket, address).await
    }

    async fn on(socket: TcpSocket, address: SocketAddr) -> Self {
        let stream = socket.connect(address).await.ok();
        let stream = stream.inspect(|stream| stream.set_nodelay(true).expect("a socket"));
        Self { stream, address, unread: Vec::new() }
    }

    /// Writes bytes; the server may have closed already, which is for the reader to see.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let Some(stream) = &mut self.stream else { return };
        let _ = timeout(DEADLINE, stream.write_all(bytes.as_ref())).await.expect("it is read");
    }

    /// Sends a request; `headers` are lines of their own.
    pub async fn send(&mut self, method: &str, target: &str, headers: &str, body: Option<&str>) {
        let head = self.head(method, target, headers, body.map(str::len));
        self.write(head + body.unwrap_or_default()).await;
    }

    /// The head of a request whose body has `length` bytes.
    pub fn head(&self, method: &str, target: &str, headers: &str, length: Option<usize>) -> String {
        let address = self.address;
        let length = length.map(|length| {
            format!("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {length}\r\n")
        });
        let length = length.unwrap_or_default();
        format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{headers}{length}\r\n")
    }

    /// The next answer; `None` when the connection ends before it is whole. What came of it is kept
    /// where this is dropped.
    pub async fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.whole() {
                return Some(answer);
            }
            self.unread.reserve(4096);
            let stream = self.stream.as_mut()?;
            match timeout(DEADLINE, stream.read_buf(&mut self.unread)).await {
                Err(_) => panic!("no answer within {DEADLINE:?}"),
                Ok(Ok(1..)) => {}
                Ok(_) => return None,
            }
        }
    }

    pub async fn answer(&mut self) -> Answer {
        self.next().await.expect("an answer, and not the connection's end")
    }

    pub async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: Option<&str>,
    ) -> Answer {
        self.send(method, target, headers, body).await;
        self.answer().await
    }

    /// Says that nothing more will be written.
    pub async fn half_close(&mut self) {
        if let Some(stream) = &mut self.stream {
            // The server may have been faster.
            let _ = stream.shutdown().await;
        }
    }

    /// The first answer, if all of it is there.
    fn whole(&mut self) -> Option<Answer> {
        let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer =
            Answer { status: status.expect("a status line"), head, text: String::new() };
        assert_eq!(answer.header("transfer-encoding"), "", "these answers have a length");
        let length = answer.header("content-length").parse().unwrap_or(0);
        let body = self.unread.get(end..end + length)?;
        answer.text = String::from_utf8(body.to_vec()).expect("the server sends text");
        self.unread.drain(..end + length);
        Some(answer)
    }
}
