//! Configuration of the Socket.IO transport, as a node's connections share it.

use std::time::Duration;

use crate::domain::NodeId;
use crate::protocol::socket_io::Namespace;
use crate::protocol::{Names, engine_io};
use crate::settings::{Refusals, Settings};

/// The same for all connections of a node.
pub struct SocketIoConfig {
    /// The name of the node, with which session ids begin.
    pub node: String,
    /// The namespaces that there are.
    pub namespaces: Vec<Namespace>,
    /// A refusal is answered by the ack, too (`socketio.errors`).
    pub acks_refusals: bool,
    /// Time between two pings (`limits.heartbeat_ms`).
    pub ping_interval: Duration,
    /// Time for a pong (`socketio.ping_timeout_ms`).
    pub ping_timeout: Duration,
    /// Time for an upgrade (`socketio.upgrade_timeout_ms`).
    pub upgrade_timeout: Duration,
    /// The clients' own names of events.
    pub names: Names,
    /// Bytes of a body or a frame (`limits.frame_bytes`).
    pub max_payload: usize,
}

impl SocketIoConfig {
    /// The transport's configuration, from the settings.
    #[must_use]
    pub fn new(settings: &Settings, node: NodeId) -> Self {
        let Settings { socketio, limits, cluster, .. } = settings;
        Self {
            node: cluster.node_name.clone().unwrap_or_else(|| node.to_string()),
            namespaces: socketio.namespaces.iter().map(|name| Namespace::new(name)).collect(),
            acks_refusals: socketio.errors == Refusals::Both,
            ping_interval: limits.heartbeat(),
            ping_timeout: socketio.ping_timeout(),
            upgrade_timeout: socketio.upgrade_timeout(),
            names: Names::new(&socketio.names_in, &socketio.names_out),
            max_payload: limits.frame_bytes,
        }
    }

    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.name() == name)
    }

    /// The packet that opens an Engine.IO session.
    #[must_use]
    pub fn open(&self, sid: &str, upgrades: &[&str]) -> String {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (interval, timeout) = (millis(self.ping_interval), millis(self.ping_timeout));
        engine_io::open(sid, upgrades, interval, timeout, self.max_payload)
    }
}
