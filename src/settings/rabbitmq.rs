//! Settings of RabbitMQ.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Secret, load};
use crate::domain::Route;

/// The connection to RabbitMQ, and the exchanges and queues there. Off without a URL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitMq {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    pub url: Option<Secret>,
    /// PEM; for `amqps://` only.
    pub ca_file: Option<PathBuf>,
    pub heartbeat_seconds: u16,
    pub reconnect_ms: u64,
    pub confirm_ms: u64,
    /// The `source` of events.
    pub source: String,
    /// Prefix of our own queues and exchanges.
    pub prefix: String,
    /// True if missing exchanges and queues are declared.
    pub declare: bool,
    /// Durability of the declared queues.
    pub durable: bool,
    /// Empty: none.
    pub exchange: String,
    /// Further queues that get every event.
    #[serde(deserialize_with = "load::list")]
    pub event_queues: Vec<String>,
    pub outbox_batch: usize,
    pub outbox_poll_ms: u64,
    /// Empty: none.
    pub rpc_queue: String,
    pub rpc_timeout_ms: u64,
    /// Empty: none.
    pub users_queue: String,
    /// Issuer of the users in other services' events.
    pub users_issuer: String,
    pub dead_letter_queue: String,
    /// Messages taken from a queue and not yet acknowledged.
    pub prefetch: u16,
    /// Routes of clients' events to other services.
    #[serde(deserialize_with = "load::tables")]
    pub gateway: Vec<Route>,
    /// Empty: none.
    pub gateway_queue: String,
    /// The gateway's name in the metadata.
    pub gateway_service: String,
    pub gateway_bytes: usize,
    pub gateway_timeout_ms: u64,
    pub gateway_in_flight: usize,
}

impl RabbitMq {
    /// True if a broker is configured.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.url.is_some()
    }

    /// The prefixed name of our own queue or exchange; `None` if it is empty.
    #[must_use]
    pub fn prefixed(&self, name: &str) -> Option<String> {
        (!name.is_empty()).then(|| format!("{}{name}", self.prefix))
    }

    /// The longest pause between two tries to connect.
    #[must_use]
    pub fn reconnect(&self) -> Duration {
        Duration::from_millis(self.reconnect_ms)
    }

    /// The broker's deadline for a confirmation.
    #[must_use]
    pub fn confirm_timeout(&self) -> Duration {
        Duration::from_millis(self.confirm_ms)
    }

    /// Pause between two reads of an empty outbox.
    #[must_use]
    pub fn outbox_poll(&self) -> Duration {
        Duration::from_millis(self.outbox_poll_ms)
    }

    /// Deadline of another service's request.
    #[must_use]
    pub fn rpc_timeout(&self) -> Duration {
        Duration::from_millis(self.rpc_timeout_ms)
    }

    /// Another service's deadline for the answer to a client.
    #[must_use]
    pub fn gateway_timeout(&self) -> Duration {
        Duration::from_millis(self.gateway_timeout_ms)
    }
}
