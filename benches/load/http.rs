//! A keep-alive HTTP client for pages of history, for long polling and for logins.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Deadline of an answer; a long poll is answered by a heartbeat at the latest.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection, one request at a time.
pub struct Http {
    stream: TcpStream,
    address: SocketAddr,
    /// The header of that name, if requests have one.
    authorization: String,
    is_asked: bool,
    answer: Vec<u8>,
}

impl Http {
    /// Connects; every request carries the token, unless it is empty.
    pub async fn connect(address: SocketAddr, token: &str) -> Result<Self> {
        let authorization = match token {
            "" => String::new(),
            _ => format!("Authorization: Bearer {token}\r\n"),
        };
        let stream = connect(address).await?;
        Ok(Self { stream, address, authorization, is_asked: false, answer: Vec::new() })
    }

    /// The body of a 200.
    pub async fn get(&mut self, path: &str) -> Result<&[u8]> {
        self.ask("GET", path, b"").await?;
        self.answer().await.with_context(|| path.to_owned())
    }

    /// The status of the answer to a JSON body, which a proxy passes on for `client`.
    pub async fn post(&mut self, path: &str, body: &str, client: Ipv4Addr) -> Result<u16> {
        let headers = format!("Content-Type: application/json\r\nX-Forwarded-For: {client}\r\n");
        self.send("POST", path, &headers, body.as_bytes()).await?;
        Ok(self.any_answer().await?.0)
    }

    /// Sends a request. A connection that the server ended while nothing was asked is made anew.
    pub async fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<()> {
        self.send(method, path, "Content-Type: text/plain;charset=UTF-8\r\n", body).await
    }

    /// Sends a request; the headers are of its body, and are left out where that is empty.
    async fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<()> {
        if self.has_ended() {
            self.stream = connect(self.address).await?;
        }
        let Self { address, authorization, .. } = self;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}");
        if !body.is_empty() {
            request += headers;
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        self.is_asked = true;
        self.answer.clear();
        Ok(self.stream.write_all(&request).await?)
    }

    /// True until the request is answered.
    pub fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// The body of the answer, which is a 200. Whoever gives up waiting may come back for it.
    pub async fn answer(&mut self) -> Result<&[u8]> {
        let (status, content) = self.any_answer().await?;
        ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(content));
        Ok(content)
    }

    /// The status and the body of the answer.
    async fn any_answer(&mut self) -> Result<(u16, &[u8])> {
        let body = loop {
            if let Some(at) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().await?;
        };
        let head = String::from_utf8_lossy(&self.answer[..body]).to_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .with_context(|| format!("an answer without a length: {head}"))?
            .trim()
            .parse()?;
        while self.answer.len() < body + length {
            self.fill().await?;
        }
        self.is_asked = false;
        let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
        Ok((status, &self.answer[body..body + length]))
    }

    /// Ends the connection with a reset.
    pub fn reset(self) -> Result<()> {
        Ok(self.stream.set_zero_linger()?)
    }

    /// Between requests nothing comes but an end.
    fn has_ended(&self) -> bool {
        match self.stream.try_read(&mut [0]) {
            Ok(_) => true,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }

    async fn fill(&mut self) -> Result<()> {
        self.answer.reserve(16 * 1024);
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.answer))
            .await
            .context("no answer")??;
        ensure!(read > 0, "the server hung up");
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
