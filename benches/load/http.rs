//! A keep-alive HTTP client for pages of history.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Deadline of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection, one request at a time.
pub struct Http {
    stream: TcpStream,
    address: SocketAddr,
    token: String,
    answer: Vec<u8>,
}

impl Http {
    /// Connects; every request carries the token.
    pub async fn connect(address: SocketAddr, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address, token: token.to_owned(), answer: Vec::new() })
    }

    /// The body of a 200.
    pub async fn get(&mut self, path: &str) -> Result<&[u8]> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.address, self.token
        );
        self.stream.write_all(request.as_bytes()).await?;

        self.answer.clear();
        let body = loop {
            self.fill().await?;
            if let Some(at) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
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
        let content = &self.answer[body..body + length];
        ensure!(
            head.starts_with("http/1.1 200"),
            "{path}: {head}{}",
            String::from_utf8_lossy(content)
        );
        Ok(content)
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
