//! The transport that every client can use: a GET that waits, and a POST for each thing to say.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Answer, Line, RawClient};

/// Idle time after which the server may have closed a connection.
const FRESH: Duration = Duration::from_secs(2);

/// A connection that is used again. It is opened when something is to be sent: the server soon ends
/// one on which nothing was ever asked.
struct Reused {
    address: SocketAddr,
    line: Option<Line>,
    used: Instant,
}

impl Reused {
    fn to(address: SocketAddr) -> Self {
        Self { address, line: None, used: Instant::now() }
    }

    /// For the next request.
    async fn fresh(&mut self) -> &mut Line {
        if self.used.elapsed() > FRESH {
            self.close();
        }
        if self.line.is_none() {
            self.line = Some(Line::to(self.address).await);
        }
        self.current()
    }

    /// For the answer to the last request.
    fn current(&mut self) -> &mut Line {
        self.line.as_mut().expect("something was asked")
    }

    /// Goes on after an answer, or after the end of the connection.
    fn answered(&mut self, answer: Option<&Answer>) {
        self.used = Instant::now();
        if answer.is_none_or(Answer::is_last) {
            self.close();
        }
    }

    fn close(&mut self) {
        self.line = None;
    }
}

/// The session of a polling client.
pub struct Polling {
    address: SocketAddr,
    path: String,
    headers: String,
    /// The data of the first packet.
    pub open: Value,
    get: Reused,
    post: Reused,
    is_polling: bool,
}

/// The data of an open packet.
pub fn opened(packet: &str) -> Value {
    let json = packet.strip_prefix('0').unwrap_or_else(|| panic!("not an open packet: {packet}"));
    serde_json::from_str(json).unwrap_or_else(|e| panic!("an open packet without JSON: {e}"))
}

impl Polling {
    pub fn new(address: SocketAddr, path: String, headers: String, open: &str) -> Self {
        let (get, post) = (Reused::to(address), Reused::to(address));
        Self { address, path, headers, open: opened(open), get, post, is_polling: false }
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

    /// True if a GET waits.
    pub fn is_polling(&self) -> bool {
        self.is_polling
    }

    /// Sends a GET, if none waits.
    pub async fn begin(&mut self) {
        if !self.is_polling {
            let target = self.target("polling");
            self.get.fresh().await.send("GET", &target, &self.headers, None).await;
            self.is_polling = true;
        }
    }

    /// The answer to the GET that waits; `None` when its connection ends.
    pub async fn end(&mut self) -> Option<Answer> {
        let answer = self.get.current().next().await;
        self.is_polling = false;
        self.get.answered(answer.as_ref());
        answer
    }

    /// The answer to a GET: the one that waits, or a new one.
    pub async fn get(&mut self) -> Answer {
        self.begin().await;
        self.end().await.expect("an answer to a GET")
    }

    /// The answer to one POST.
    pub async fn post(&mut self, body: &str) -> Answer {
        let target = self.target("polling");
        let answer = self.post.fresh().await.ask("POST", &target, &self.headers, Some(body)).await;
        self.post.answered(Some(&answer));
        answer
    }

    /// Sends packets, which must be accepted.
    pub async fn send(&mut self, body: &str) {
        let answer = self.post(body).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "ok"), "{body}: {answer:?}");
    }

    /// Drops the connection of the GET that waits.
    pub fn abort(&mut self) {
        self.get.close();
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
