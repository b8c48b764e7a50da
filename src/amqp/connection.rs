//! Connections to the broker, which reconnect when they are lost.
//!
//! A node has two. A broker without memory or disk stops reading from a connection that publishes,
//! acknowledgements included; consuming must not stop with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::metrics::{ConnectionUse, Metrics};
use crate::retry::{Backoff, LogOnce};
use crate::settings::RabbitMq;

/// The deadline for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between checks of the connection's state, in case no event reports its end.
const LOOK: Duration = Duration::from_secs(1);
/// The time that consumers have to stop before the connection closes.
const CLOSE_GRACE: Duration = Duration::from_millis(100);
/// The broker's deadline for a declaration, and for opening a channel.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A failure at the broker.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the broker is away")]
    Away,
    #[error("the broker did not answer in time")]
    Late,
    /// A queue is missing, and may not be declared.
    #[error("there is no queue {0}, and rabbitmq.declare is off")]
    NoQueue(String),
    #[error("{0}")]
    Amqp(#[from] lapin::Error),
}

impl BusError {
    /// The code of the broker's refusal, if any; it has closed the channel.
    #[must_use]
    pub fn refusal(&self) -> Option<AMQPSoftError> {
        match self {
            Self::Amqp(error) => refusal(error),
            Self::Away | Self::Late | Self::NoQueue(_) => None,
        }
    }
}

fn refusal(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

/// Connects once, for an operator, and names the broker.
///
/// # Errors
/// Settings that cannot be read, and a broker that refuses or does not answer.
pub async fn try_connect(settings: &RabbitMq) -> anyhow::Result<String> {
    let (settings, metrics) = (Arc::new(settings.clone()), Arc::new(Metrics::new()));
    let broker = Broker::new(ConnectionUse::Publish, settings, metrics)?;
    let name = broker.describe();
    broker.try_once().await.with_context(|| name.clone())?;
    Ok(name)
}

/// A handle to the broker. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    purpose: ConnectionUse,
    settings: Arc<RabbitMq>,
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    metrics: Arc<Metrics>,
    connection: watch::Sender<Option<Arc<Connection>>>,
    /// Connected, but blocked by the broker.
    blocked: AtomicBool,
    /// Set once: no further connection is made.
    closed: watch::Sender<bool>,
}

impl Broker {
    /// Parses the settings, without connecting.
    ///
    /// # Errors
    /// A URL or a file of certificates that cannot be read, without the URL's password.
    pub fn new(
        purpose: ConnectionUse,
        settings: Arc<RabbitMq>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let url = settings.url.as_ref().context("rabbitmq.url is not set")?;
        // The parser's own error is left out: it may quote the URL.
        let mut uri: AMQPUri = url.expose().parse().ok().context(
            "rabbitmq.url cannot be read: it must be amqp://USER:PASSWORD@HOST:PORT/VHOST",
        )?;
        if uri.vhost.is_empty() {
            // `amqp://host/` means the default virtual host, not one without a name.
            "/".clone_into(&mut uri.vhost);
        }
        uri.query.heartbeat.get_or_insert(settings.heartbeat_seconds);
        let tls = OwnedTLSConfig {
            cert_chain: settings.ca_file.as_deref().map(read_certificates).transpose()?,
            ..OwnedTLSConfig::default()
        };
        // Created at once, so that a broker that was never connected shows as 0.
        metrics.connected(purpose).set(0);
        Ok(Self(Arc::new(Inner {
            purpose,
            settings,
            uri,
            tls,
            metrics,
            connection: watch::Sender::new(None),
            blocked: AtomicBool::new(false),
            closed: watch::Sender::new(false),
        })))
    }

    /// Names the broker, without a secret: `rabbitmq host:5672/vhost`.
    #[must_use]
    pub fn describe(&self) -> String {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0.uri;
        let tls = if *scheme == AMQPScheme::AMQPS { " with TLS" } else { "" };
        let vhost = vhost.trim_start_matches('/');
        format!("rabbitmq {}:{}/{vhost}{tls}", authority.host, authority.port)
    }

    /// Connects once, and closes again.
    async fn try_once(&self) -> Result<(), BusError> {
        let connection = self.connect().await?;
        // The answer was given; a broker that is slow to say goodbye changes nothing.
        drop(timeout(CLOSE_GRACE, connection.close(200, "tried".into())).await);
        Ok(())
    }

    /// Keeps a connection until [`Broker::close`].
    pub async fn keep_connected(self) {
        tokio::select! {
            () = self.connect_again_and_again() => {}
            () = self.closing() => {}
        }
    }

    async fn connect_again_and_again(&self) {
        let mut backoff = Backoff::new(self.0.settings.reconnect());
        let mut log_once = LogOnce::default();
        loop {
            match self.connect().await {
                Ok(connection) => {
                    log::info!("connected to the broker, to {}", self.0.purpose.as_str());
                    backoff.reset();
                    let connection = Arc::new(connection);
                    self.0.connection.send_replace(Some(Arc::clone(&connection)));
                    self.0.metrics.connected(self.0.purpose).set(1);
                    let why = self.lost(&connection).await;
                    self.0.connection.send_replace(None);
                    self.0.metrics.connected(self.0.purpose).set(0);
                    self.0.blocked.store(false, Ordering::Relaxed);
                    log::warn!("lost the connection to the broker, reconnecting: {why}");
                }
                Err(error) => log_once.warn(&format!("cannot connect to the broker: {error}")),
            }
            backoff.wait().await;
        }
    }

    async fn connect(&self) -> Result<Connection, BusError> {
        let inner = &self.0;
        let name = format!("frontdesk {}, to {}", std::process::id(), inner.purpose.as_str());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime()?;
        let connection = Connection::connect_uri_with_config(
            inner.uri.clone(),
            properties,
            inner.tls.clone(),
            runtime,
        );
        Ok(timeout(CONNECT_TIMEOUT, connection).await.map_err(|_| BusError::Late)??)
    }

    /// Waits for the end of a connection, and returns the reason.
    async fn lost(&self, connection: &Connection) -> String {
        let mut events = std::pin::pin!(connection.events_listener());
        let mut known = self.0.connection.subscribe();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    // A refusal ends a channel alone, and is reported here as well.
                    Some(Event::Error(error)) if refusal(&error).is_none() => {
                        return error.to_string();
                    }
                    Some(Event::ConnectionBlocked(reason)) => {
                        self.0.blocked.store(true, Ordering::Relaxed);
                        log::warn!("blocked by the broker: {reason}");
                    }
                    Some(Event::ConnectionUnblocked) => {
                        self.0.blocked.store(false, Ordering::Relaxed);
                        log::info!("unblocked by the broker");
                    }
                    Some(_) => {}
                    None => return "its task ended".to_owned(),
                },
                // The connection was given up on purpose.
                () = given_up(&mut known) => {
                    let _ = timeout(LOOK, connection.close(200, "given up".into())).await;
                    return "it does not answer".to_owned();
                }
                () = sleep(LOOK) => {}
            }
            if !connection.status().connected() {
                return "it was closed".to_owned();
            }
        }
    }

    /// True if the broker is connected and takes nothing for now, for want of memory or disk.
    /// Published messages wait.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.0.blocked.load(Ordering::Relaxed)
    }

    /// Drops an unresponsive connection, so that a new one is made.
    pub fn give_up(&self) {
        self.0.connection.send_replace(None);
    }

    /// Opens a channel, once there is a connection.
    ///
    /// # Errors
    /// The connection was lost, or is closed for good.
    pub async fn channel(&self) -> Result<Channel, BusError> {
        let mut connection = self.0.connection.subscribe();
        let connected = connection.wait_for(Option::is_some).await;
        let connection = connected.ok().and_then(|connected| connected.clone());
        let connection = connection.ok_or(BusError::Away)?;
        open(&connection).await
    }

    /// As [`Broker::channel`], without waiting for a connection.
    ///
    /// # Errors
    /// `Away` without a connection.
    pub async fn try_channel(&self) -> Result<Channel, BusError> {
        let connection = self.0.connection.borrow().clone();
        let connection = connection.ok_or(BusError::Away)?;
        open(&connection).await
    }

    /// Declares a queue unless it exists: an existing one is used as it is, whatever its durability
    /// and arguments; a missing one is created, if allowed.
    ///
    /// # Errors
    /// `NoQueue`, or the broker's refusal.
    pub async fn queue(&self, name: &str) -> Result<(), BusError> {
        // A refusal closes the channel, so each question has a channel of its own.
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        match self.declare(name, passive).await {
            Err(error) if error.refusal() == Some(AMQPSoftError::NOTFOUND) => {}
            other => return other,
        }
        if !self.0.settings.declare {
            return Err(BusError::NoQueue(name.to_owned()));
        }
        let durable = self.0.settings.durable;
        self.declare(name, QueueDeclareOptions { durable, ..QueueDeclareOptions::default() }).await
    }

    async fn declare(&self, name: &str, options: QueueDeclareOptions) -> Result<(), BusError> {
        let channel = self.try_channel().await?;
        let declared = channel.queue_declare(name.into(), options, FieldTable::default());
        let declared = timeout(ANSWER_TIMEOUT, declared).await.map_err(|_| BusError::Late)?;
        declared?;
        // Open channels would count against the connection's limit.
        let _ = timeout(ANSWER_TIMEOUT, channel.close(200, "done".into())).await;
        Ok(())
    }

    /// Waits until the connection is about to be closed for good.
    pub async fn closing(&self) {
        // Its sender lives as long as the broker.
        let _ = self.0.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Closes the connection for good; unacknowledged messages are delivered again elsewhere.
    pub async fn close(&self) {
        self.0.closed.send_replace(true);
        sleep(CLOSE_GRACE).await;
        let connection = self.0.connection.send_replace(None);
        self.0.metrics.connected(self.0.purpose).set(0);
        if let Some(connection) = connection
            && let Err(late) = timeout(LOOK, connection.close(200, "bye".into())).await
        {
            log::debug!("the broker did not confirm the close: {late}");
        }
    }
}

/// Waits until all users have released the connection.
async fn given_up(known: &mut watch::Receiver<Option<Arc<Connection>>>) {
    // Its sender lives as long as the broker.
    let _ = known.wait_for(Option::is_none).await;
}

async fn open(connection: &Connection) -> Result<Channel, BusError> {
    let channel = timeout(ANSWER_TIMEOUT, connection.create_channel());
    Ok(channel.await.map_err(|_| BusError::Late)??)
}

fn read_certificates(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read rabbitmq.ca_file {}", path.display()))
}
