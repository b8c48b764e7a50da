//! What an operator sees at `/metrics`: counters and gauges, shared by all actors of a node.

use std::time::Duration;

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
    Bus,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Of {
    pub part: Part,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Ending {
    /// The client closed it.
    Closed,
    /// The connection broke off without a close.
    Gone,
    BrokenFrame,
    NotUtf8,
    TooLarge,
    Unauthenticated,
    SlowReader,
    Blocked,
    RoleChanged,
    Refused,
    /// The user's newer sessions took its place.
    Replaced,
    Shutdown,
    Panicked,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    pub reason: Ending,
}

/// What a connection to the broker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ConnectionUse {
    Publish,
    Consume,
}

impl ConnectionUse {
    /// In words, as in "connected to …".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Connected {
    pub to: ConnectionUse,
}

/// How another service's request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum RpcOutcome {
    Answered,
    /// It is the caller's to mend: not found, not allowed, not understood.
    Refused,
    /// The database was away, or the deadline passed.
    Unavailable,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Rpc {
    pub command: &'static str,
    pub outcome: RpcOutcome,
}

/// What became of another service's word on one of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum UserOutcome {
    Applied,
    Unchanged,
    Retried,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UserEvent {
    pub outcome: UserOutcome,
}

/// What became of a client's event for another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ForwardOutcome {
    /// An event, and the broker has it.
    Confirmed,
    /// A request, and the service has answered.
    Answered,
    /// A request, and the service has refused it.
    Refused,
    /// A request, and the service has answered what cannot be read.
    Unreadable,
    Timeout,
    Unavailable,
    /// A request, and its session has gone.
    Abandoned,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GatewayForward {
    pub outcome: ForwardOutcome,
}

/// What became of a service's answer to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum AnswerOutcome {
    Delivered,
    /// Handed on to the node that the session is of.
    Elsewhere,
    /// The session is gone, or never was.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GatewayAnswer {
    pub outcome: AnswerOutcome,
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
    pub origins_refused: Counter,
    pub replayed: Counter,
    pub holes_repaired: Counter,
    pub batch_messages: Histogram,
    pub batch_seconds: Histogram,
    pub batches_split: Counter,
    pub writes_failed: Counter,
    pub outcomes_unknown: Counter,
    pub database_reconnects: Counter,
    pub panics: Family<Of, Counter>,
    pub poll_failures: Counter,
    pub bus_connected: Family<Connected, Gauge>,
    pub bus_dead_lettered: Counter,
    pub bus_ignored: Counter,
    pub outbox_waiting: Gauge,
    pub outbox_oldest_seconds: Gauge,
    pub events_published: Counter,
    pub events_confirmed: Counter,
    pub events_retried: Counter,
    pub events_dropped: Counter,
    pub rpc_seconds: Family<Rpc, Histogram, fn() -> Histogram>,
    pub user_events: Family<UserEvent, Counter>,
    pub gateway_forwards: Family<GatewayForward, Counter>,
    pub gateway_answers: Family<GatewayAnswer, Counter>,
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
            origins_refused: Counter::default(),
            replayed: Counter::default(),
            holes_repaired: Counter::default(),
            batch_messages: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            batch_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
            batches_split: Counter::default(),
            writes_failed: Counter::default(),
            outcomes_unknown: Counter::default(),
            database_reconnects: Counter::default(),
            panics: Family::default(),
            poll_failures: Counter::default(),
            bus_connected: Family::default(),
            bus_dead_lettered: Counter::default(),
            bus_ignored: Counter::default(),
            outbox_waiting: Gauge::default(),
            outbox_oldest_seconds: Gauge::default(),
            events_published: Counter::default(),
            events_confirmed: Counter::default(),
            events_retried: Counter::default(),
            events_dropped: Counter::default(),
            rpc_seconds: Family::new_with_constructor(rpc_histogram),
            user_events: Family::default(),
            gateway_forwards: Family::default(),
            gateway_answers: Family::default(),
        };
        for part in
            [Part::Session, Part::Room, Part::Executor, Part::Reader, Part::Reception, Part::Bus]
        {
            // Made at once, so that a panic is seen as a step from 0 and not as a new line.
            drop(metrics.panics.get_or_create(&Of { part }));
        }
        metrics.register();
        metrics.register_bus();
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
            "Sessions that ended, by reason",
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
            "origins_refused",
            "Requests of web pages whose origin is not allowed",
            self.origins_refused.clone(),
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
            "writes_failed",
            "Messages and read marks that the database refuses",
            self.writes_failed.clone(),
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
            "Actors and parts that failed by a panic, and go on",
            self.panics.clone(),
        );
        registry.register(
            "poll_failures",
            "Times the database could not be asked what other nodes did",
            self.poll_failures.clone(),
        );
    }

    fn register_bus(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "bus_connected",
            "Whether this node is connected to the broker: 1 or 0",
            self.bus_connected.clone(),
        );
        registry.register(
            "bus_dead_lettered",
            "Messages of other services that could not be understood and were put aside",
            self.bus_dead_lettered.clone(),
        );
        registry.register(
            "bus_ignored",
            "Events of other services that mean nothing here",
            self.bus_ignored.clone(),
        );
        registry.register(
            "outbox_waiting",
            "Events that other services have not been told of yet, over all nodes",
            self.outbox_waiting.clone(),
        );
        registry.register(
            "outbox_oldest_seconds",
            "Age of the event that has waited longest; 0 where none waits",
            self.outbox_oldest_seconds.clone(),
        );
        registry.register(
            "events_published",
            "Events handed to the broker, tries again included",
            self.events_published.clone(),
        );
        registry.register(
            "events_confirmed",
            "Events that the broker has taken for every one they are meant for",
            self.events_confirmed.clone(),
        );
        registry.register(
            "events_retried",
            "Events that the broker did not take, or did not confirm, and that are published again",
            self.events_retried.clone(),
        );
        registry.register(
            "events_dropped",
            "Events of users coming and going that nobody was told of",
            self.events_dropped.clone(),
        );
        registry.register(
            "rpc_seconds",
            "Time to answer another service's request",
            self.rpc_seconds.clone(),
        );
        registry.register(
            "user_events",
            "What other services told of their users",
            self.user_events.clone(),
        );
        registry.register(
            "gateway_forwards",
            "Clients' events for other services",
            self.gateway_forwards.clone(),
        );
        registry.register(
            "gateway_answers",
            "Other services' answers to sessions",
            self.gateway_answers.clone(),
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

    /// Whether there is a connection to the broker, to publish or to consume: 1 or 0.
    #[must_use]
    pub fn connected(&self, to: ConnectionUse) -> Gauge {
        self.bus_connected.get_or_create_owned(&Connected { to })
    }

    /// Counts an actor that died of a panic.
    pub fn panicked(&self, part: Part) {
        self.panics.get_or_create(&Of { part }).inc();
    }

    /// Counts a session that ended.
    pub fn ended(&self, reason: Ending) {
        self.sessions_ended.get_or_create(&Ended { reason }).inc();
    }

    /// Notes how another service's request ended. `command` is one of the names that are served.
    pub fn answered(&self, command: &'static str, outcome: RpcOutcome, took: Duration) {
        self.rpc_seconds.get_or_create(&Rpc { command, outcome }).observe(took.as_secs_f64());
    }

    /// Counts what another service told of one of its users.
    pub fn user_event(&self, outcome: UserOutcome) {
        self.user_events.get_or_create(&UserEvent { outcome }).inc();
    }

    /// Counts a client's event for another service.
    pub fn gateway_forward(&self, outcome: ForwardOutcome) {
        self.gateway_forwards.get_or_create(&GatewayForward { outcome }).inc();
    }

    /// Counts another service's answer to a session.
    pub fn gateway_answer(&self, outcome: AnswerOutcome) {
        self.gateway_answers.get_or_create(&GatewayAnswer { outcome }).inc();
    }
}

/// 1 ms to 16 s, which is beyond the usual deadline.
fn rpc_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}
