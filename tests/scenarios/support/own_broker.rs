//! A RabbitMQ for one scenario, to be killed.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// Deadline of a start, which takes seconds of both cores.
const START: Duration = Duration::from_secs(90);

/// A private RabbitMQ; dropping it kills it.
pub struct OwnBroker {
    folder: TempDir,
    port: u16,
    /// It leads a process group, with all that it needs.
    running: Option<Child>,
}

impl OwnBroker {
    /// Starts one, and waits until it answers.
    pub async fn start() -> Self {
        let mut broker = Self::prepare();
        broker.restart().await;
        broker
    }

    /// One that does not run yet, for an app that is there before it.
    pub fn prepare() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        Self { folder, port: free_port(), running: None }
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// SIGKILL to all of it: nothing is flushed, no connection is closed in good order.
    pub fn kill(&mut self) {
        let Some(mut leader) = self.running.take() else { return };
        let killed = Command::new("bash")
            .args(["-c", "kill -KILL -- -$0", &leader.id().to_string()])
            .status()
            .is_ok_and(|status| status.success());
        // A scenario that fails already must not fail twice, which would abort all of them.
        assert!(killed || std::thread::panicking(), "RabbitMQ ended by itself");
        if killed {
            let _ = leader.wait();
        }
    }

    /// Starts it again on what is left of it, at the same port, and waits until it answers.
    pub async fn restart(&mut self) {
        self.kill();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/rabbitmq-node");
        let child = Command::new(program)
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/rabbitmq-node starts");
        self.running = Some(child);
        let since = Instant::now();
        while let Err(e) = Connection::connect(&self.url(), ConnectionProperties::default()).await {
            let ended = self.running.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "RabbitMQ ended, run scripts/test: {}", self.last_words());
            assert!(since.elapsed() < START, "no RabbitMQ: {e}: {}", self.last_words());
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("rabbitmq.log"));
        let log = log.unwrap_or_else(|e| format!("and no log: {e}"));
        let lines: Vec<_> = log.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// A port below those that the kernel gives to outgoing connections: it must be free again after a
/// kill.
pub fn free_port() -> u16 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    let mut ports = (0..1000).map(|step| 10_000 + ((random % 10_000 + step) % 10_000) as u16);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one port of a thousand is free")
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        self.kill();
    }
}
