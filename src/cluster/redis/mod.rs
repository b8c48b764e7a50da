//! Redis driver of the backplane: publish and subscribe, and sharded on a Redis Cluster.
//!
//! All nodes subscribe to one channel, and each to one of its own. All channels are of one slot, so
//! one member of a cluster has them, and the others are not disturbed. A message begins with its
//! sender.

mod connection;
mod resp;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::backplane::{Delivery, Event, Port, Publications};
use super::driver::{self, drive};
use crate::domain::NodeId;
use crate::settings;
use connection::{Connection, DEADLINE, Server};
use resp::Value;

/// The common part of the channels' names: its braces choose the slot of a cluster.
const CHANNELS: &str = "{frontdesk}";
/// Bytes of messages in one pipeline; beyond it, the rest waits for the next.
const GATHERED_BYTES: usize = 256 * 1024;
/// Silence after which the driver asks for a sign of life.
const SILENCE: Duration = Duration::from_secs(5);
/// Members of a cluster that are asked for the channels, one after the other.
const MOVES: usize = 5;

/// Drives a node's backplane over Redis.
pub struct RedisDriver {
    server: Server,
    node: NodeId,
    prefix: String,
}

pub struct RedisSender {
    connection: Connection,
    publish: &'static str,
    node: NodeId,
    prefix: String,
}

pub struct RedisReceiver {
    connection: Connection,
    node: NodeId,
    all: String,
}

/// Subscribes once, for an operator, and names the server; `None` without a URL.
pub async fn try_redis(settings: &settings::Redis) -> Option<Result<String, String>> {
    let driver = RedisDriver::new(settings, NodeId::random()).transpose()?;
    let tried = async {
        let driver = driver?;
        driver.subscribe().await.map(|_| driver.describe())
    };
    Some(tried.await)
}

impl RedisDriver {
    /// The driver for these settings; `None` without a URL.
    ///
    /// # Errors
    /// A text that names the setting.
    pub fn new(settings: &settings::Redis, node: NodeId) -> Result<Option<Self>, String> {
        let Some(url) = &settings.url else { return Ok(None) };
        let server = Server::parse(url.expose(), settings.ca_file.as_deref())?;
        Ok(Some(Self { server, node, prefix: settings.prefix.clone() }))
    }

    /// Names the server without a secret.
    #[must_use]
    pub fn describe(&self) -> String {
        self.server.describe()
    }

    /// Drives until the last handle to the backplane is dropped.
    pub async fn run(self, port: Port) {
        drive(self, port).await;
    }

    /// Subscribes, at the member of the cluster that has the channels.
    async fn subscribe(&self) -> Result<(Connection, Server, bool), String> {
        let mut server = self.server.clone();
        let (all, own) = (all(&self.prefix), channel(&self.prefix, self.node));
        'servers: for _ in 0..MOVES {
            let (mut connection, is_cluster) = server.connect().await?;
            let subscribe: &[u8] = if is_cluster { b"SSUBSCRIBE" } else { b"SUBSCRIBE" };
            let mut command = Vec::new();
            resp::write(&[subscribe, all.as_bytes(), own.as_bytes()], &mut command);
            connection.write(&command).await?;
            let mut confirmed = 0;
            while confirmed < 2 {
                match connection.read().await? {
                    // Messages may be between the two.
                    Value::Array(fields) => confirmed += usize::from(is(&fields, b"subscribe")),
                    Value::Error(error) => {
                        server = server.moved(&error).ok_or(error)?;
                        continue 'servers;
                    }
                    _ => return Err("it does not answer as Redis does".to_owned()),
                }
            }
            return Ok((connection, server, is_cluster));
        }
        Err("the members of the cluster do not agree on the channels' slot".to_owned())
    }
}

impl driver::Service for RedisDriver {
    type Sender = RedisSender;
    type Receiver = RedisReceiver;

    async fn open(&self) -> Result<(RedisSender, RedisReceiver), String> {
        let late = |_| format!("{}: no answer came in time", self.describe());
        let subscribed = timeout(DEADLINE, self.subscribe()).await.map_err(late)?;
        let (listening, server, is_cluster) = subscribed?;
        let (connection, _) = server.connect().await?;
        let (node, prefix) = (self.node, self.prefix.clone());
        let publish = if is_cluster { "SPUBLISH" } else { "PUBLISH" };
        let receiver = RedisReceiver { connection: listening, node, all: all(&prefix) };
        Ok((RedisSender { connection, publish, node, prefix }, receiver))
    }
}

impl driver::Sender for RedisSender {
    async fn send_all(mut self, publications: &mut Publications) -> Result<(), String> {
        let (from, all) = (self.node.to_string(), all(&self.prefix));
        loop {
            let batch = publications.gather(GATHERED_BYTES).await;
            if batch.is_empty() {
                return Ok(());
            }
            let mut commands = Vec::new();
            for publication in &batch {
                let node = publication.target.node();
                let channel = node.map_or_else(|| all.clone(), |node| channel(&self.prefix, node));
                let message = [from.as_bytes(), &publication.bytes].concat();
                let command = [self.publish.as_bytes(), channel.as_bytes(), &message];
                resp::write(&command, &mut commands);
            }
            let late = |_| "no answer came in time".to_owned();
            timeout(DEADLINE, self.connection.write(&commands)).await.map_err(late)??;
            for publication in batch {
                let answer = timeout(DEADLINE, self.connection.read()).await.map_err(late)??;
                let delivery = match answer {
                    Value::Integer(0) if publication.target.node().is_some() => {
                        Delivery::NoReceiver
                    }
                    Value::Integer(_) => Delivery::Sent,
                    Value::Error(error) => return Err(error),
                    _ => return Err("it does not answer as Redis does".to_owned()),
                };
                publication.conclude(Ok(delivery));
            }
        }
    }
}

impl driver::Receiver for RedisReceiver {
    async fn receive_all(mut self, events: &mpsc::Sender<Event>) -> Result<(), String> {
        let mut ping = Vec::new();
        resp::write(&[b"PING"], &mut ping);
        loop {
            let value = match timeout(SILENCE, self.connection.read()).await {
                Ok(value) => value?,
                Err(_) => {
                    // Nothing marks a connection that the network has forgotten.
                    let asked = async {
                        self.connection.write(&ping).await?;
                        self.connection.read().await
                    };
                    let late = |_| "no sign of life came in time".to_owned();
                    timeout(DEADLINE, asked).await.map_err(late)??
                }
            };
            let Some(message) = self.message(value)? else { continue };
            match timeout(DEADLINE, events.send(Event::Message(message))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err("this node takes no messages".to_owned()),
            }
        }
    }
}

impl RedisReceiver {
    /// The message in a value, if it is another node's.
    fn message(&self, value: Value) -> Result<Option<Vec<u8>>, String> {
        let fields = match value {
            Value::Array(fields) => fields,
            Value::Error(error) => return Err(error),
            _ => return Ok(None),
        };
        if is(&fields, b"unsubscribe") {
            return Err("the channels have moved to another member of the cluster".to_owned());
        }
        if !is(&fields, b"message") {
            return Ok(None);
        }
        let Ok([_, Value::Text(channel), Value::Text(mut message)]) =
            <[Value; 3]>::try_from(fields)
        else {
            return Ok(None);
        };
        let from = self.node.to_string();
        let is_own = message.starts_with(from.as_bytes()) && channel == self.all.as_bytes();
        if is_own || message.len() < from.len() {
            return Ok(None);
        }
        message.drain(..from.len());
        Ok(Some(message))
    }
}

/// `true` for values of this kind, sharded ones too.
fn is(fields: &[Value], kind: &[u8]) -> bool {
    let Some(Value::Text(found)) = fields.first() else { return false };
    found == kind || found.strip_prefix(b"s") == Some(kind)
}

/// The channel of all nodes.
fn all(prefix: &str) -> String {
    format!("{prefix}{CHANNELS}.nodes")
}

/// The channel of a node.
fn channel(prefix: &str, node: NodeId) -> String {
    format!("{prefix}{CHANNELS}.node.{node}")
}
