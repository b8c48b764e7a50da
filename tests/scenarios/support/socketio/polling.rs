//! The transport that every client can use: a GET that waits, and a POST for each thing to say.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Answer, Line, RawClient};

/// Idle time after which the server may have closed a connection.
const FRESH: Duration = Duration::from_secs(2);

/// The session of a polling client.
pub struct Polling {
    address: SocketAddr,
    path: String,
    headers: String,
    /// The data of the first packet.
    pub open: Value,
    get: Line,
    post: Line,
    used: Instant,
    is_polling: bool,
}

/// The data of an open packet.
pub fn opened(packet: &str) -> Value {
    let json = packet.strip_prefix('0').unwrap_or_else(|| panic!("not an open packet: {packet}"));
    serde_json::from_str(json).unwrap_or_else(|e| panic!("an open packet without JSON: {e}"))
}

impl Polling {
    pub async fn new(address: SocketAddr, path: String, headers: String, open: &str) -> Self {
        let (get, post) = (Line::to(address).await, Line::to(address).await);
        let (open, used) = (opened(open), Instant::now());
        Self { address, path, headers, open, get, post, used, is_polling: false }
    }

    pub fn sid(&self) -> &str {
        self.open["sid"].as_str().expect("a session has an id")
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The target of a request for this session.
    pub fn target(&self, transport: &str) -> String {
        format!("{}?EIO=4&transport={transport}&sid={}", self.path, self.sid())
    }

    async fn freshen(&mut self) {
        if self.used.elapsed() > FRESH {
            self.post = Line::to(self.address).await;
            if !self.is_polling {
                self.get = Line::to(self.address).await;
            }
        }
        self.used = Instant::now();
    }

    /// True if a GET waits.
    pub fn is_polling(&self) -> bool {
        self.is_polling
    }

    /// Sends a GET, if none waits.
    pub async fn begin(&mut self) {
        if !self.is_polling {
            self.freshen().await;
            let target = self.target("polling");
            self.get.send("GET", &target, &self.headers, None).await;
            self.is_polling = true;
        }
    }

    /// The answer to the GET that waits; `None` when its connection ends.
    pub async fn end(&mut self) -> Option<Answer> {
        let answer = self.get.next().await;
        self.is_polling = false;
        self.used = Instant::now();
        if answer.as_ref().is_some_and(Answer::is_last) {
            self.get = Line::to(self.address).await;
        }
        answer
    }

    /// The answer to a GET: the one that waits, or a new one.
    pub async fn get(&mut self) -> Answer {
        self.begin().await;
        self.end().await.expect("an answer to a GET")
    }

    /// The answer to one POST.
    pub async fn post(&mut self, body: &str) -> Answer {
        self.freshen().await;
        let target = self.target("polling");
        let answer = self.post.ask("POST", &target, &self.headers, Some(body)).await;
        if answer.is_last() {
            self.post = Line::to(self.address).await;
        }
        answer
    }

    /// Sends packets, which must be accepted.
    pub async fn send(&mut self, body: &str) {
        let answer = self.post(body).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "ok"), "{body}: {answer:?}");
    }

    /// Drops the connection of the GET that waits.
    pub async fn abort(&mut self) {
        self.get = Line::to(self.address).await;
        self.is_polling = false;
    }

    /// One more connection beside the two.
    pub async fn another(&self) -> Line {
        Line::to(self.address).await
    }

    /// Sends a GET over a connection of its own.
    pub async fn get_beside(&self) -> Answer {
        let target = self.target("polling");
        self.another().await.ask("GET", &target, &self.headers, None).await
    }

    /// A WebSocket for this session.
    pub async fn socket(&self) -> RawClient {
        super::socket(self.address, &self.target("websocket"), &self.headers).await
    }

    /// A WebSocket for this session whose probe is answered.
    pub async fn probed(&self) -> RawClient {
        let mut socket = self.socket().await;
        super::say_to(&mut socket, "2probe").await;
        assert_eq!(super::text_of(&mut socket).await, "3probe");
        socket
    }

    /// Waits until the session is unknown.
    pub async fn is_gone(&self) {
        crate::support::eventually("the session is unknown", || async {
            let answer = self.get_beside().await;
            (answer.status == 400 && answer.json()["code"] == 1).then_some(())
        })
        .await;
    }
}
