//! Metrics registry: the counters, gauges and histograms at `/metrics`, shared by all actors of a node.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Parts that can panic on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Part {
    Session,
    Room,
    Executor,
    Reader,
    Reception,
    LastSeen,
    Bus,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Of {
    pub part: Part,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    pub reason: &'static str,
}

/// The limit that refused a connection before its upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ConnectLimit {
    /// `limits.unauthenticated`.
    Unauthenticated,
    UnauthenticatedPerAddress,
    ConnectsPerAddress,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Refused {
    pub reason: ConnectLimit,
}

/// The transport of a Socket.IO connection: `polling` or `websocket`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Over {
    pub transport: &'static str,
}

/// The code of a refusal of Engine.IO.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SocketIoRefused {
    pub code: u32,
}

/// Outcome of a recovery: `recovered` or `refused`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SocketIoRecovery {
    pub outcome: &'static str,
}

/// The use of a connection to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ConnectionUse {
    Publish,
    Consume,
}

impl ConnectionUse {
    /// The use in log lines, as in "connected to …".
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

/// Outcome of another service's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum RpcOutcome {
    Answered,
    /// The caller's error: not found, not allowed, not understood.
    Refused,
    /// The database was away, or the deadline passed.
    Unavailable,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Rpc {
    pub command: &'static str,
    pub outcome: RpcOutcome,
}

/// Outcome of an attempt to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum LoginOutcome {
    LoggedIn,
    /// The e-mail or the password is wrong.
    Wrong,
    Blocked,
    /// By a limit of the address or of the account.
    Limited,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Attempt {
    pub outcome: LoginOutcome,
}

/// Outcome of another service's user event.
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

/// Outcome of a client's event for another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ForwardOutcome {
    /// An event that the broker has confirmed.
    Confirmed,
    /// A request with the service's answer.
    Answered,
    /// A request that the service has refused.
    Refused,
    /// A request with a malformed answer.
    Unreadable,
    Timeout,
    Unavailable,
    /// A request whose session has ended.
    Abandoned,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GatewayForward {
    pub outcome: ForwardOutcome,
}

/// Outcome of a service's answer to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum AnswerOutcome {
    Delivered,
    /// Forwarded to the session's node.
    Elsewhere,
    /// No such session.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GatewayAnswer {
    pub outcome: AnswerOutcome,
}

/// Version of the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Build {
    pub version: &'static str,
}

/// Status of an answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answered {
    pub status: u16,
}

/// Code of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WithCode {
    pub code: &'static str,
}

/// State of connections to the database: `busy` or `idle`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct InState {
    pub state: &'static str,
}

/// Declares [`Metrics`]: a line is a field, its type (and its value, unless it is the default), and
/// its help text. The field's name is the metric's, and their order that of `/metrics`.
macro_rules! metrics {
    ($($name:ident: $type:ty $(= $value:expr)?, $help:literal;)+) => {
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub $name: $type,)+
        }

        impl Metrics {
            /// Names of all metrics, without the prefix and the suffixes of samples: those that have no
            /// sample yet are not in [`encode`](Self::encode).
            pub const NAMES: &[&str] = &[$(stringify!($name)),+];

            fn registered() -> Self {
                let mut registry = Registry::with_prefix("frontdesk");
                $(
                    let $name: $type = metrics!(@value $($value)?);
                    registry.register(stringify!($name), $help, $name.clone());
                )+
                Self { registry, $($name),+ }
            }
        }
    };
    (@value) => { Default::default() };
    (@value $value:expr) => { $value };
}

metrics! {
    build_info: Family<Build, Gauge>, "1, with the version of the program";
    start_seconds: Gauge, "Time of the start, in seconds since 1970";
    resident_bytes: Gauge, "Memory of the process; 0 where the system does not tell";
    open_files: Gauge, "Open files of the process, of which each connection is one";
    open_files_max: Gauge, "Files that the process may have open";
    http_responses: Family<Answered, Counter>, "Answers over HTTP, by status";
    exceptions: Family<WithCode, Counter>, "Refusals in sessions, by code";
    sessions: Gauge, "Sessions now open";
    socketio_connections: Family<Over, Gauge>,
        "Socket.IO connections now open, by transport; their sessions are among the sessions";
    socketio_upgrades: Counter, "Socket.IO connections that went from polling to a WebSocket";
    socketio_refused: Family<SocketIoRefused, Counter>, "Requests of Socket.IO clients refused, by code";
    socketio_recoveries: Family<SocketIoRecovery, Counter>,
        "Sessions that a Socket.IO client wanted to recover, by outcome";
    unauthenticated: Gauge, "Open sockets that have shown no token yet";
    leaving: Gauge, "Whether this node is leaving: 1 from the signal to stop on, before it 0";
    connects_refused: Family<Refused, Counter>,
        "Upgrades to a WebSocket refused by a limit of the node or of the client's address";
    rooms: Gauge, "Chats with a room on this node";
    sessions_ended: Family<Ended, Counter>, "Sessions that ended, by reason";
    messages_stored: Counter, "Messages stored for the first time";
    messages_duplicate: Counter, "Messages sent again and answered from the log";
    messages_unavailable: Counter,
        "Messages answered unavailable: a queue was full or the database did not answer";
    deliveries: Counter,
        "Messages handed to the sessions in their rooms, the author's own included";
    origins_refused: Counter, "Requests of web pages whose origin is not allowed";
    requests_limited: Counter, "Requests refused by a rate limit";
    replayed: Counter, "Messages read from the database for sessions that had missed them";
    holes_repaired: Counter,
        "Runs of messages stored by other nodes, read before what follows was delivered";
    batch_messages: Histogram = Histogram::new(exponential_buckets(1.0, 2.0, 11)),
        "Messages in one write transaction";
    batch_seconds: Histogram = Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
        "Duration of a write transaction";
    batches_split: Counter, "Write transactions split to find the row that fails";
    writes_failed: Counter, "Messages and read marks that the database refuses";
    writes_waiting: Gauge, "Messages and read marks that wait for their transaction, or are in it";
    outcomes_unknown: Counter, "Commits whose outcome had to be looked up";
    database_up: Gauge, "Whether the database answered when the metrics were asked for: 1 or 0";
    pool_connections: Family<InState, Gauge>, "Connections that read from the database, by state";
    pool_waiting: Gauge, "Reads that wait for a connection";
    database_reconnects: Counter, "Connections of executors that were made anew";
    panics: Family<Of, Counter>, "Actors and parts that failed by a panic, and go on";
    peer_messages_ignored: Counter, "Messages of other nodes that were not authentic, old or unknown";
    backplane_connected: Gauge,
        "Whether this node can hear others: 1 or 0; while 0 their messages are polled for";
    peers: Gauge, "Other nodes that this one hears";
    peer_users: Gauge, "Users who are online on other nodes, as far as this one has been told";
    peer_news_dropped: Counter,
        "Messages, live states and shares that other nodes were not told of: too many waited";
    poll_failures: Counter, "Times the database could not be asked what other nodes did";
    bus_connected: Family<Connected, Gauge>, "Whether this node is connected to the broker: 1 or 0";
    bus_dead_lettered: Counter,
        "Messages of other services that could not be understood and were put aside";
    bus_ignored: Counter, "Events of other services that mean nothing here";
    outbox_waiting: Gauge, "Events that other services have not been told of yet, over all nodes";
    outbox_oldest_seconds: Gauge, "Age of the event that has waited longest; 0 where none waits";
    events_published: Counter, "Events handed to the broker, tries again included";
    events_confirmed: Counter, "Events that the broker has taken for every one they are meant for";
    events_retried: Counter,
        "Events that the broker did not take, or did not confirm, and that are published again";
    live_events_dropped: Counter, "Typing, presence and read marks that a slow session was not told of";
    events_dropped: Counter, "Events of users coming and going that nobody was told of";
    rpc_seconds: Family<Rpc, Histogram, fn() -> Histogram> = Family::new_with_constructor(rpc_histogram),
        "Time to answer another service's request";
    logins: Family<Attempt, Counter>, "Attempts to log in to built-in accounts, by outcome";
    passwords_waiting: Gauge, "Passwords that wait for their check, the one that is being checked included";
    passwords_refused: Counter, "Passwords refused since too many waited";
    password_seconds: Histogram = Histogram::new(exponential_buckets(0.005, 2.0, 10)),
        "Duration of a password's check, its wait not included";
    user_events: Family<UserEvent, Counter>, "What other services told of their users";
    gateway_forwards: Family<GatewayForward, Counter>, "Clients' events for other services";
    gateway_answers: Family<GatewayAnswer, Counter>, "Other services' answers to sessions";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self::registered();
        for part in
            [Part::Session, Part::Room, Part::Executor, Part::Reader, Part::Reception, Part::Bus]
        {
            // Created at once, so that a panic is a step from 0 and not a new line.
            drop(metrics.panics.get_or_create(&Of { part }));
        }
        for reason in [
            ConnectLimit::Unauthenticated,
            ConnectLimit::UnauthenticatedPerAddress,
            ConnectLimit::ConnectsPerAddress,
        ] {
            drop(metrics.connects_refused.get_or_create(&Refused { reason }));
        }
        for outcome in [
            LoginOutcome::LoggedIn,
            LoginOutcome::Wrong,
            LoginOutcome::Blocked,
            LoginOutcome::Limited,
        ] {
            drop(metrics.logins.get_or_create(&Attempt { outcome }));
        }
        metrics.build_info.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        for transport in ["polling", "websocket"] {
            drop(metrics.socketio_connections(transport));
        }
        metrics
    }

    /// The metrics in Prometheus's text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        if let Err(error) = text::encode(&mut text, &self.registry) {
            log::error!("cannot encode the metrics: {error}");
        }
        text
    }

    /// The connection to the broker, to publish or to consume: 1 or 0.
    #[must_use]
    pub fn connected(&self, to: ConnectionUse) -> Gauge {
        self.bus_connected.get_or_create_owned(&Connected { to })
    }

    /// Counts an actor's panic.
    pub fn panicked(&self, part: Part) {
        self.panics.get_or_create(&Of { part }).inc();
    }

    /// Counts a connection refused before its upgrade.
    pub fn connect_refused(&self, reason: ConnectLimit) {
        self.connects_refused.get_or_create(&Refused { reason }).inc();
    }

    /// The Socket.IO connections on a transport.
    #[must_use]
    pub fn socketio_connections(&self, transport: &'static str) -> Gauge {
        self.socketio_connections.get_or_create_owned(&Over { transport })
    }

    /// Counts a refused request of a Socket.IO client.
    pub fn socketio_refused(&self, code: u8) {
        self.socketio_refused.get_or_create(&SocketIoRefused { code: code.into() }).inc();
    }

    /// Counts a Socket.IO client's attempt to recover its session.
    pub fn socketio_recovery(&self, is_recovered: bool) {
        let outcome = if is_recovered { "recovered" } else { "refused" };
        self.socketio_recoveries.get_or_create(&SocketIoRecovery { outcome }).inc();
    }

    /// Counts a session's end.
    pub fn ended(&self, reason: &'static str) {
        self.sessions_ended.get_or_create(&Ended { reason }).inc();
    }

    /// Records the outcome of another service's request. `command` is a known name.
    pub fn answered(&self, command: &'static str, outcome: RpcOutcome, took: Duration) {
        self.rpc_seconds.get_or_create(&Rpc { command, outcome }).observe(took.as_secs_f64());
    }

    /// Counts an answer over HTTP.
    pub fn http_response(&self, status: u16) {
        self.http_responses.get_or_create(&Answered { status }).inc();
    }

    /// Counts a refusal in a session.
    pub fn exception(&self, code: &'static str) {
        self.exceptions.get_or_create(&WithCode { code }).inc();
    }

    /// Sets the state of the database's connections that read.
    pub fn set_pool(&self, busy: usize, idle: usize, waiting: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (state, count) in [("busy", busy), ("idle", idle)] {
            self.pool_connections.get_or_create(&InState { state }).set(number(count));
        }
        self.pool_waiting.set(number(waiting));
    }

    /// Counts an attempt to log in.
    pub fn login(&self, outcome: LoginOutcome) {
        self.logins.get_or_create(&Attempt { outcome }).inc();
    }

    /// Counts another service's user event.
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
