//! Redis: the one that all scenarios share, and one of a scenario's own, to be killed.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use testkit::Daemon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::eventually;
use super::own_broker::free_port;

/// The Redis that all scenarios share.
const VARIABLE: &str = "FRONTDESK_TEST_REDIS_URL";

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// The URL of the Redis that all scenarios share.
pub fn url() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: run scripts/test, which starts a Redis and sets it")
    })
}

/// A private Redis; dropping it kills it.
pub struct OwnRedis {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    running: Option<Daemon>,
}

impl OwnRedis {
    /// Arguments of a member of a cluster.
    pub const MEMBER: &[&str] = &["--cluster-enabled", "yes"];

    /// Starts one, and waits until it answers.
    pub async fn start(arguments: &[&str]) -> Self {
        let mut redis = Self {
            folder: tempfile::tempdir().expect("a temporary directory"),
            port: free_port(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            running: None,
        };
        redis.restart().await;
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL: no connection is closed in good order.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        self.running.as_ref().expect("it runs").signal(name);
    }

    /// Forgets all that is stored.
    pub async fn flush(&self) {
        self.ask("FLUSHALL").await;
    }

    /// Starts it again at the same port, and waits until it answers.
    pub async fn restart(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(self.port.to_string()).arg("--dir").arg(self.folder.path());
        command.args(&self.arguments);
        let log = self.folder.path().join("redis.log");
        let daemon = Daemon::start(&mut command, &log);
        self.running = Some(daemon.unwrap_or_else(|e| panic!("no Redis, run scripts/test: {e}")));
        eventually("Redis answers", || async {
            TcpStream::connect(("127.0.0.1", self.port)).await.ok()
        })
        .await;
    }

    /// Makes a cluster of two: the other has the second half of the slots.
    pub async fn share_slots_with(&self, other: &Self) {
        let half = SLOTS / 2;
        self.ask(&format!("CLUSTER ADDSLOTSRANGE 0 {}", half - 1)).await;
        other.ask(&format!("CLUSTER ADDSLOTSRANGE {half} {}", SLOTS - 1)).await;
        self.ask(&format!("CLUSTER MEET 127.0.0.1 {}", other.port)).await;
        for member in [self, other] {
            eventually("the cluster is whole", || async {
                member.ask("CLUSTER INFO").await.contains("cluster_state:ok").then_some(())
            })
            .await;
        }
    }

    /// The beginning of the answer to a command.
    async fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a Redis");
        stream.write_all(format!("{command}\r\n").as_bytes()).await.expect("it reads");
        let mut answer = vec![0; 4096];
        let length = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer));
        let length = length.await.expect("an answer in time").expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(!answer.starts_with('-'), "{command}: {answer}");
        answer
    }
}
