//! The system under load: a server process, and its database.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use testkit::{Daemon, free_address};
use tokio::time::sleep;

use crate::database::Database;
use crate::http::Http;
use crate::process::{Cluster, Process, Usage};
use crate::token;
use crate::transport::{Door, Transport};

/// Deadline of a server's start; a grown database has nothing to migrate.
const START: Duration = Duration::from_secs(20);

/// A running server, and further nodes on the same database. They end when this is dropped.
pub struct Target {
    /// Its address, and what its sessions speak.
    pub door: Door,
    daemon: Daemon,
    cluster: Option<Cluster>,
    /// Redis between the nodes.
    redis: Option<Process>,
    others: Vec<Target>,
}

impl Target {
    /// The server on this database, with limits that are out of the way, and with further settings
    /// as the environment names them.
    pub async fn server(
        program: &Path,
        database: &Database,
        folder: &Path,
        settings: &[(&str, &str)],
        transport: Transport,
    ) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .current_dir(folder)
            .env("FRONTDESK__SERVER__BIND", address.to_string())
            .env("FRONTDESK__DATABASE__URL", database.url())
            .env("FRONTDESK__AUTH__SECRET", token::SECRET)
            .env("FRONTDESK__LIMITS__MESSAGES_PER_SECOND", "1000000")
            .env("FRONTDESK__LIMITS__BURST", "1000000")
            .env("FRONTDESK__LIMITS__SESSIONS_PER_USER", "10000")
            .envs(settings.iter().copied());
        let door = Door { address, transport };
        Self::start(command, door, database.cluster(), &folder.join("server.log")).await
    }

    /// The bare peer: this program in another mode. It speaks over WebSockets alone.
    pub async fn bare(folder: &Path, transport: Transport) -> Result<Self> {
        let transport = match transport {
            Transport::Polling => Transport::Socketio,
            other => other,
        };
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare").arg(address.to_string());
        let door = Door { address, transport };
        Self::start(command, door, None, &folder.join("bare.log")).await
    }

    async fn start(
        mut command: Command,
        door: Door,
        cluster: Option<Cluster>,
        log: &Path,
    ) -> Result<Self> {
        let mut daemon = Daemon::start(&mut command, log)?;
        let started = std::time::Instant::now();
        while !is_ready(door.address).await {
            if daemon.has_ended() || started.elapsed() > START {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let tail: Vec<&str> = said.lines().rev().take(20).collect();
                bail!(
                    "the server did not get ready:\n{}",
                    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { door, daemon, cluster, redis: None, others: Vec::new() })
    }

    /// Both together, with Redis between them if it is named.
    pub fn and(mut self, other: Self, redis: Option<Process>) -> Self {
        self.others.push(other);
        self.redis = redis;
        self
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// CPU used so far by all nodes, by the database's own processes, and by Redis.
    pub fn usage(&self) -> Result<Usage> {
        Ok(Usage {
            server: self.nodes().map(|node| Process(node.daemon.id()).cpu()).sum::<Result<_>>()?,
            database: self.cluster.map_or(Ok(Duration::ZERO), Cluster::cpu)?,
            redis: self.redis.map_or(Ok(Duration::ZERO), Process::cpu)?,
        })
    }

    /// Messages and transactions that the server's executors have committed so far; nothing where
    /// it does not say.
    pub async fn batches(&self) -> Result<Option<(f64, f64)>> {
        let metrics = self.metrics().await?;
        let sum = value(&metrics, "batch_messages_sum");
        Ok(sum.zip(value(&metrics, "batch_messages_count")))
    }

    /// The value of a server's metric; 0 if it is missing.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        Ok(value(&self.metrics().await?, name).unwrap_or_default())
    }

    async fn metrics(&self) -> Result<String> {
        let mut http = Http::connect(self.door.address, "").await?;
        Ok(String::from_utf8_lossy(http.get("/metrics").await?).into_owned())
    }

    /// The server's resident memory, in KiB.
    pub fn resident(&self) -> Result<f64> {
        Process(self.daemon.id()).resident()
    }
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    let values = metrics.lines().filter_map(|line| {
        line.strip_prefix("frontdesk_")?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()
    });
    values.reduce(|_, last| last)
}

async fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut http) = Http::connect(address, "").await else { return false };
    http.get("/readyz").await.is_ok()
}
