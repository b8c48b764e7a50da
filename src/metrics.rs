//! What an operator sees at `/metrics`: counters and gauges, shared by all actors of a node.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The parts that may fail on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Part {
    Session,
    Room,
    Executor,
    Reader,
    Reception,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Of {
    pub part: Part,
}

/// Why a session was ended by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Ending {
    BrokenFrame,
    NotUtf8,
    TooLarge,
    Unauthenticated,
    SlowReader,
    Blocked,
    RoleChanged,
    Refused,
    Shutdown,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    pub reason: Ending,
}

/// Every metric has its name, and what it counts, in [`Metrics::new`].
pub struct Metrics {
    registry: Registry,
    pub sessions: Gauge,
    pub unauthenticated: Gauge,
    pub rooms: Gauge,
    pub sessions_ended: Family<Ended, Counter>,
    pub messages_stored: Counter,
    pub messages_duplicate: Counter,
    pub messages_unavailable: Counter,
    pub deliveries: Counter,
    pub requests_limited: Counter,
    pub replayed: Counter,
    pub holes_repaired: Counter,
    pub batch_messages: Histogram,
    pub batch_seconds: Histogram,
    pub batches_split: Counter,
    pub outcomes_unknown: Counter,
    pub database_reconnects: Counter,
    pub panics: Family<Of, Counter>,
    pub poll_failures: Counter,
    pub bus_connected: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("frontdesk"),
            sessions: Gauge::default(),
            unauthenticated: Gauge::default(),
            rooms: Gauge::default(),
            sessions_ended: Family::default(),
            messages_stored: Counter::default(),
            messages_duplicate: Counter::default(),
            messages_unavailable: Counter::default(),
            deliveries: Counter::default(),
            requests_limited: Counter::default(),
            replayed: Counter::default(),
            holes_repaired: Counter::default(),
            batch_messages: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            batch_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
            batches_split: Counter::default(),
            outcomes_unknown: Counter::default(),
            database_reconnects: Counter::default(),
            panics: Family::default(),
            poll_failures: Counter::default(),
            bus_connected: Gauge::default(),
        };
        for part in [Part::Session, Part::Room, Part::Executor, Part::Reader, Part::Reception] {
            // Made at once, so that a panic is seen as a step from 0 and not as a new line.
            drop(metrics.panics.get_or_create(&Of { part }));
        }
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("sessions", "WebSocket sessions now open", self.sessions.clone());
        registry.register(
            "unauthenticated",
            "Open sockets that have shown no token yet",
            self.unauthenticated.clone(),
        );
        registry.register("rooms", "Chats with a room on this node", self.rooms.clone());
        registry.register(
            "sessions_ended",
            "Sessions ended by the server",
            self.sessions_ended.clone(),
        );
        registry.register(
            "messages_stored",
            "Messages stored for the first time",
            self.messages_stored.clone(),
        );
        registry.register(
            "messages_duplicate",
            "Messages sent again and answered from the log",
            self.messages_duplicate.clone(),
        );
        registry.register(
            "messages_unavailable",
            "Messages answered unavailable: a queue was full or the database did not answer",
            self.messages_unavailable.clone(),
        );
        registry.register(
            "deliveries",
            "Messages handed to the sessions in their rooms, the author's own included",
            self.deliveries.clone(),
        );
        registry.register(
            "requests_limited",
            "Requests refused by a rate limit",
            self.requests_limited.clone(),
        );
        registry.register(
            "replayed",
            "Messages read from the database for sessions that had missed them",
            self.replayed.clone(),
        );
        registry.register(
            "holes_repaired",
            "Runs of messages stored by other nodes, read before what follows was delivered",
            self.holes_repaired.clone(),
        );
        registry.register(
            "batch_messages",
            "Messages in one write transaction",
            self.batch_messages.clone(),
        );
        registry.register(
            "batch_seconds",
            "Duration of a write transaction",
            self.batch_seconds.clone(),
        );
        registry.register(
            "batches_split",
            "Write transactions split to find the row that fails",
            self.batches_split.clone(),
        );
        registry.register(
            "outcomes_unknown",
            "Commits whose outcome had to be looked up",
            self.outcomes_unknown.clone(),
        );
        registry.register(
            "database_reconnects",
            "Connections of executors that were made anew",
            self.database_reconnects.clone(),
        );
        registry.register(
            "panics",
            "Actors that died of a panic and were replaced",
            self.panics.clone(),
        );
        registry.register(
            "poll_failures",
            "Times the database could not be asked what other nodes did",
            self.poll_failures.clone(),
        );
    }

    /// In the text format that Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        if let Err(error) = text::encode(&mut text, &self.registry) {
            log::error!("cannot encode the metrics: {error}");
        }
        text
    }

    /// Counts an actor that died of a panic.
    pub fn panicked(&self, part: Part) {
        self.panics.get_or_create(&Of { part }).inc();
    }

    /// Counts a session that the server ended.
    pub fn ended(&self, reason: Ending) {
        self.sessions_ended.get_or_create(&Ended { reason }).inc();
    }
}
