//! The real binary, to be killed.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::NamedTempFile;
use testkit::{Daemon, free_address};

use super::app::environment;
use super::{Node, eventually};

/// `frontdesk serve` in a process of its own; dropping it kills it.
pub struct Process {
    node: Node,
    daemon: Daemon,
    log: NamedTempFile,
    settings: Vec<(String, String)>,
}

impl Process {
    /// Starts it with `settings`, and waits until it is ready.
    pub async fn start(settings: &[(impl AsRef<str>, String)]) -> Self {
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| (key.as_ref().to_owned(), value.clone())).collect();
        let address = free_address().expect("a port");
        let log = NamedTempFile::new().expect("a temporary file");
        let daemon = launch(address, &settings, &log);
        let process = Self { node: Node::elsewhere(address), daemon, log, settings };
        process.is_ready().await;
        process
    }

    /// Starts it again at the same address, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.daemon = launch(self.node.address(), &self.settings, &self.log);
        self.is_ready().await;
    }

    async fn is_ready(&self) {
        eventually("the process is ready", || async {
            let ready = self.node.try_get("/readyz").await?;
            (ready.status == 200).then_some(())
        })
        .await;
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("its log is text")
    }

    /// Its memory, in bytes.
    pub fn resident(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.daemon.id()));
        let pages =
            statm.expect("it runs").split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.expect("statm's second number is the resident set") * 4096
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        self.daemon.signal(name);
    }

    /// Waits until it has ended by itself; its exit code.
    pub async fn ended(&mut self) -> i32 {
        let daemon = RefCell::new(&mut self.daemon);
        eventually("the process has ended", || async { daemon.borrow_mut().exit_code() }).await
    }

    /// Waits until its log has `line`.
    pub async fn logs(&self, line: &str) {
        eventually(line, || async { self.log().contains(line).then_some(()) }).await;
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }
}

fn launch(address: SocketAddr, settings: &[(String, String)], log: &NamedTempFile) -> Daemon {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frontdesk"));
    command
        .arg("serve")
        .env("FRONTDESK__SERVER__BIND", address.to_string())
        // The tests' PostgreSQL need not survive its machine.
        .env("FRONTDESK__DATABASE__WEAK_DURABILITY", "true")
        .envs(environment(settings))
        .current_dir(std::env::temp_dir());
    Daemon::start(&mut command, log.path()).expect("the binary starts")
}

impl std::ops::Deref for Process {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}
