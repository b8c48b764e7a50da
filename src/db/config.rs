//! Configuration of the storage.

use std::path::PathBuf;
use std::time::Duration;

/// Address of the database, and limits of its connections.
#[derive(Clone)]
pub struct Config {
    /// `sqlite://path/to/file`, or `postgres://user:password@host:port/database?sslmode=…`.
    pub url: String,
    /// Number of connections that read.
    pub pool_size: usize,
    /// Time that a query waits for a connection before it is `Unavailable`.
    pub acquire_timeout: Duration,
    /// The only certificates that may vouch for the server; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// The sinks of the outbox, by name. Without any, no events are written.
    pub sinks: Vec<String>,
    /// True if a missing SQLite file is created.
    pub create: bool,
}
