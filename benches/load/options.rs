//! The command line, and what it means for the sizes of things.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::straight;
use crate::transport::Transport;

/// Measures the server beside its floors, and verifies while it measures. `scripts/bench` calls it.
#[derive(Parser)]
#[command(name = "load", args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Measurements to run; all of them by default.
    pub scenarios: Vec<Scenario>,
    /// The transport of all sessions.
    #[arg(long, value_enum, default_value_t)]
    pub transport: Transport,
    /// Fewer and shorter runs: enough to see that all works, not to quote.
    #[arg(long)]
    pub quick: bool,
    /// The server's program. Without it, the harness tests itself against its own peer.
    #[arg(long)]
    pub server: Option<PathBuf>,
    /// A superuser's URL of a PostgreSQL cluster that nobody else uses.
    #[arg(long, requires = "postmaster")]
    pub postgres: Option<String>,
    /// The process id of that cluster's postmaster.
    #[arg(long)]
    pub postmaster: Option<u32>,
    /// The URL of a RabbitMQ that nobody else uses.
    #[arg(long)]
    pub rabbitmq: Option<String>,
    /// The URL of a Redis that nobody else uses.
    #[arg(long, requires = "redis_process")]
    pub redis: Option<String>,
    /// Its process id.
    #[arg(long)]
    pub redis_process: Option<u32>,
    /// Measures on SQLite.
    #[arg(long)]
    pub sqlite: bool,
    /// Folder of databases and logs.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
    /// Writes the figures to this file, too.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Flag that `cargo bench` adds to every call.
    #[arg(long, hide = true, global = true)]
    pub bench: bool,
    #[command(subcommand)]
    pub mode: Option<Mode>,
}

/// Role of the program as its own child.
#[derive(Subcommand)]
pub enum Mode {
    /// The bare peer.
    #[command(hide = true)]
    Bare { bind: SocketAddr },
    /// Rows straight into the database, or pages straight out of it.
    #[command(hide = true)]
    Straight(straight::Order),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 1,000 chats, each one customer and one admin: every sender busy, and 64 in flight in all.
    Support,
    /// A group chat of 100 and of 1,000.
    FanOut,
    /// 5,000 connections, of new users and of known ones.
    Storm,
    /// 5,000 sessions come back at once; each missed 20 messages.
    Resume,
    /// Pages of 50 in a chat of 100,000.
    History,
    /// Support again, with a million messages stored.
    Growth,
    /// Support again, with other services that are told of each message.
    Outbox,
    /// 10,000 connects and ends, half of them rude, four times.
    Churn,
    /// Support again, with each customer on one node and the listening admin on another.
    Nodes,
    /// 500 chats of four, at a fixed pace: all on one transport, then half of each on long polling.
    Polling,
    /// 1,000 chats at a fixed pace, while somebody attempts 10,000 logins a minute.
    Logins,
}

/// Sizes and lengths of a run.
pub struct Plan {
    /// Measured windows or rounds of each kind; medians are reported.
    pub runs: usize,
    pub window: Duration,
    /// Before the first window.
    pub warm_up: Duration,
    /// Deadline for everything in flight after the last post.
    pub patience: Duration,
    /// Support chats.
    pub chats: usize,
    /// Sessions of the group chats.
    pub groups: [usize; 2],
    /// Connections of storm and resume.
    pub connections: usize,
    /// Messages in the chat whose history is read.
    pub history: usize,
    /// Messages stored before growth.
    pub stored: usize,
}

impl Plan {
    /// The sizes are the same quick or not: a smaller server would be another one.
    pub fn new(quick: bool) -> Self {
        let (runs, window) = if quick { (2, 1500) } else { (3, 4000) };
        Self {
            runs,
            window: Duration::from_millis(window),
            warm_up: Duration::from_millis(window / 4),
            patience: Duration::from_secs(15),
            chats: 1000,
            groups: [100, 1000],
            connections: 5000,
            history: 100_000,
            stored: 1_000_000,
        }
    }
}
