//! Settings: typed, closed and layered.
//!
//! `config/default.toml` is compiled in and has every default; a file overrides it, and the
//! environment (`FRONTDESK__SECTION__KEY`) overrides both. Unknown keys are errors.

mod check;
mod database_url;
mod load;
mod network;
mod origin;
mod rabbitmq;
mod redis;
mod secret;
mod socketio;
#[cfg(test)]
mod tests;
mod web;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::domain::{NameIn, NameOut, Route, RouteKind, RouteRole};
pub use database_url::{Backend, DatabaseUrl};
pub use load::SettingsError;
pub use network::Network;
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use secret::Secret;
pub use socketio::{Refusals, SocketIo};
pub use web::{Demo, Web, origin_of};

pub use crate::domain::{DEMO_ISSUER, OWN_ISSUER};

/// Default number of executors on PostgreSQL.
const DEFAULT_EXECUTORS: usize = 1;

/// All settings. `config/default.toml` explains each field's meaning, unit and limit.
///
/// Serializes as the effective settings, secrets masked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub server: Server,
    pub database: Database,
    pub auth: Auth,
    pub limits: Limits,
    pub socketio: SocketIo,
    pub cluster: Cluster,
    pub redis: Redis,
    pub rabbitmq: RabbitMq,
    pub web: Web,
    pub log: Log,
}

/// The log, on the standard error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
}

/// Form of the log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    /// An object a line.
    Json,
}

/// Addresses to listen on, and limits of connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// `host:port`; port 0 takes a free one.
    pub bind: String,
    /// 0: one per core.
    pub workers: usize,
    /// In addition to the server's own origin; `*` allows all.
    #[serde(deserialize_with = "load::list")]
    pub allowed_origins: Vec<String>,
    /// Proxies whose forwarding headers are believed.
    #[serde(deserialize_with = "network::networks")]
    pub trusted_proxies: Vec<Network>,
    /// PEM: the certificate and its chain. With `tls_key_file` the server speaks TLS itself.
    pub tls_cert_file: Option<PathBuf>,
    /// PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Seconds that an HTTP connection without a request is kept.
    pub keep_alive_seconds: u64,
    /// Seconds.
    pub shutdown_timeout: u64,
    pub drain_wait_ms: u64,
    pub drain_window_ms: u64,
}

impl Server {
    /// Time for which an HTTP connection without a request is kept.
    #[must_use]
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive_seconds)
    }

    /// Time from the signal to the end of the process.
    #[must_use]
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_secs(self.shutdown_timeout)
    }

    /// Time for the load balancer, in which everything is served.
    #[must_use]
    pub fn drain_wait(&self) -> Duration {
        Duration::from_millis(self.drain_wait_ms)
    }

    /// Time over which sessions are closed, and over which they come back.
    #[must_use]
    pub fn drain_window(&self) -> Duration {
        Duration::from_millis(self.drain_window_ms)
    }
}

/// The database and the write batches.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: DatabaseUrl,
    /// The configured number; use [`Database::executors`].
    pub executors: Option<usize>,
    /// Connections that read.
    pub pool_size: usize,
    pub acquire_timeout_ms: u64,
    /// PEM; PostgreSQL only.
    pub ca_file: Option<PathBuf>,
    /// True to start on a database that may lose what it has acknowledged.
    pub weak_durability: bool,
    /// Posts waiting per executor.
    pub queue: usize,
    /// Rows per transaction.
    pub batch_rows: usize,
    /// Bytes of text per transaction.
    pub batch_bytes: usize,
}

impl Database {
    /// Number of writers: one on SQLite, which has one writer.
    #[must_use]
    pub fn executors(&self) -> usize {
        match self.url.backend() {
            Backend::Sqlite => 1,
            Backend::Postgres => self.executors.unwrap_or(DEFAULT_EXECUTORS),
        }
    }

    /// Time that a read waits for a connection.
    #[must_use]
    pub fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }
}

/// Rules for tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The HS256 key.
    pub secret: Option<Secret>,
    /// The key before the last change, which still verifies.
    pub previous_secret: Option<Secret>,
    /// PEM; the only key if it is set.
    pub public_key_file: Option<PathBuf>,
    /// A key set (JWKS), instead of one key.
    pub jwks_file: Option<PathBuf>,
    /// The same, over HTTPS.
    pub jwks_url: Option<String>,
    /// Time between two readings of the key set.
    pub jwks_refresh_seconds: u64,
    pub algorithm: Algorithm,
    /// The required `iss`.
    pub issuer: Option<String>,
    /// The accepted `aud` values; empty: any, or none.
    #[serde(deserialize_with = "load::list")]
    pub audience: Vec<String>,
    /// Built-in accounts, where there is a secret.
    pub local_accounts: bool,
    /// True if anybody may make an account.
    pub sign_up: bool,
    /// Life of an access token.
    pub access_seconds: u64,
    /// Life of a login without a refresh.
    pub refresh_days: u64,
    /// Passwords that wait for their check, on one node.
    pub password_queue: usize,
}

impl Auth {
    /// True if tokens are verified with the public keys of another, who alone can sign them.
    #[must_use]
    pub fn has_foreign_keys(&self) -> bool {
        self.public_key_file.is_some() || self.jwks_file.is_some() || self.jwks_url.is_some()
    }

    #[must_use]
    pub fn access_lifetime(&self) -> Duration {
        Duration::from_secs(self.access_seconds)
    }

    #[must_use]
    pub fn refresh_lifetime(&self) -> Duration {
        Duration::from_secs(self.refresh_days.saturating_mul(86_400))
    }
}

/// The algorithm of signatures. Chosen by the operator, never by the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum Algorithm {
    HS256,
    RS256,
    ES256,
    EdDSA,
}

impl TryFrom<String> for Algorithm {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "HS256" => Ok(Self::HS256),
            "RS256" => Ok(Self::RS256),
            "ES256" => Ok(Self::ES256),
            "EdDSA" => Ok(Self::EdDSA),
            _ => Err(format!("`{name}` is none of HS256, RS256, ES256, EdDSA")),
        }
    }
}

/// Limits of one client.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub heartbeat_ms: u64,
    pub auth_seconds: u64,
    pub leeway_seconds: u64,
    /// Messages a chat and request.
    pub replay: usize,
    pub frame_bytes: usize,
    pub message_chars: usize,
    pub messages_per_second: u32,
    pub burst: u32,
    /// Of an HTTP request.
    pub body_bytes: usize,
    pub title_chars: usize,
    pub group_members: usize,
    /// Per session.
    pub chats_entered: usize,
    /// Per user, on one node.
    pub sessions_per_user: usize,
    /// A user without a session stays online for so long.
    pub presence_grace_ms: u64,
    /// Sockets without a token yet, on one node.
    pub unauthenticated: usize,
    /// The configured number of one address; use [`Limits::unauthenticated_per_address`].
    pub unauthenticated_per_address: Option<usize>,
    /// A second; 0: no limit.
    pub connects_per_address: u32,
    /// Attempts to log in, a minute and at once; 0: no limit.
    pub logins_per_address: u32,
    /// The same of one e-mail address.
    pub logins_per_account: u32,
    /// Attempts to sign up, a minute and at once; 0: no limit.
    pub sign_ups_per_address: u32,
    /// Wrong service keys, a minute and at once; 0: no limit.
    pub wrong_keys_per_address: u32,
    /// Waiting for one session.
    pub session_queue_events: usize,
    /// The same in bytes.
    pub session_queue_bytes: usize,
    /// In flight in one room.
    pub room_posts: usize,
    /// Of one session, waiting for the database.
    pub commands_in_flight: usize,
}

impl Limits {
    /// The time between two pings.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// Time that a socket may stay without a token.
    #[must_use]
    pub fn auth_timeout(&self) -> Duration {
        Duration::from_secs(self.auth_seconds)
    }

    /// Time for which a user without a session stays online.
    #[must_use]
    pub fn presence_grace(&self) -> Duration {
        Duration::from_millis(self.presence_grace_ms)
    }

    /// Sockets without a token of one address, on one node.
    #[must_use]
    pub fn unauthenticated_per_address(&self) -> usize {
        let quarter = (self.unauthenticated / 4).max(1);
        self.unauthenticated_per_address.unwrap_or(quarter)
    }

    /// Tolerated difference of clocks, at verification and at the end of a live session.
    #[must_use]
    pub fn leeway(&self) -> Duration {
        Duration::from_secs(self.leeway_seconds)
    }
}

/// Timings of several nodes on one database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The node's name for load balancers; missing, it is the node's random id.
    pub node_name: Option<String>,
    pub poll_ms: u64,
}

impl Cluster {
    /// Pause between two polls for other nodes' changes.
    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}
