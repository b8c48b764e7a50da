//! PostgreSQL driver of the backplane: LISTEN and NOTIFY.
//!
//! All nodes listen to one channel, and each to one of its own. Publications of the time that a
//! NOTIFY takes go out together in the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::backplane::{Delivery, Event, Port, Publications};
use super::driver::{self, drive};
use super::payload::{Assembly, split};
use crate::db::{Listener, Notice, Notification, Notifications, Notifier};
use crate::domain::NodeId;

/// The channel of all nodes.
const ALL: &str = "frontdesk";
/// Bytes of messages in one NOTIFY; beyond it, the rest waits for the next.
const GATHERED_BYTES: usize = 256 * 1024;
/// Silence after which the driver notifies itself.
const SILENCE: Duration = Duration::from_secs(5);
/// Deadline of that notification, and of a node that takes no event: a listener that does not read
/// keeps the server's queue.
const DEADLINE: Duration = Duration::from_secs(5);

const UNHEARD: &str = "PostgreSQL's notifications do not arrive (is there a pooler in front of it \
    that does not pass them on? Let database.url name PostgreSQL itself)";

/// Drives a node's backplane over PostgreSQL.
pub struct PostgresDriver {
    notifications: Notifications,
    node: NodeId,
}

pub struct PostgresSender {
    notifier: Arc<Notifier>,
    /// Notifications sent on this connection.
    sent: u64,
}

pub struct PostgresReceiver {
    listener: Listener,
    notifier: Arc<Notifier>,
    channel: String,
}

impl PostgresDriver {
    #[must_use]
    pub fn new(notifications: Notifications, node: NodeId) -> Self {
        Self { notifications, node }
    }

    /// Drives until the last handle to the backplane is dropped.
    pub async fn run(self, port: Port) {
        drive(self, port).await;
    }
}

impl driver::Service for PostgresDriver {
    type Sender = PostgresSender;
    type Receiver = PostgresReceiver;

    async fn open(&self) -> Result<(PostgresSender, PostgresReceiver), String> {
        let channel = channel(self.node);
        let opened = self.notifications.open(&[ALL, &channel], key(self.node)).await;
        let (notifier, listener) = opened.map_err(|error| error.to_string())?;
        let notifier = Arc::new(notifier);
        let mut receiver = PostgresReceiver { listener, notifier: Arc::clone(&notifier), channel };
        receiver.probe().await?;
        Ok((PostgresSender { notifier, sent: 0 }, receiver))
    }
}

impl driver::Sender for PostgresSender {
    async fn send_all(mut self, publications: &mut Publications) -> Result<(), String> {
        loop {
            let batch = publications.gather(GATHERED_BYTES).await;
            if batch.is_empty() {
                return Ok(());
            }
            let mut notices = Vec::with_capacity(batch.len());
            // The last part of each message.
            let mut ends = Vec::with_capacity(batch.len());
            for publication in &batch {
                let node = publication.target.node();
                let channel = node.map_or_else(|| ALL.to_owned(), channel);
                for payload in split(self.sent, &publication.bytes) {
                    notices.push(Notice { channel: channel.clone(), payload, key: None });
                }
                self.sent = self.sent.wrapping_add(1);
                if let Some(last) = notices.last_mut() {
                    last.key = node.filter(|_| publication.is_awaited()).map(key);
                }
                ends.push(notices.len().saturating_sub(1));
            }
            // Dropped publications are `Unavailable`.
            let heard = self.notifier.notify(&notices).await.map_err(|error| error.to_string())?;
            for (publication, end) in batch.into_iter().zip(ends) {
                publication.conclude(Ok(match heard.get(end) {
                    Some(false) => Delivery::NoReceiver,
                    _ => Delivery::Sent,
                }));
            }
        }
    }
}

impl driver::Receiver for PostgresReceiver {
    async fn receive_all(mut self, events: &mpsc::Sender<Event>) -> Result<(), String> {
        let mut assembly = Assembly::default();
        loop {
            let Ok(heard) = timeout(SILENCE, self.next()).await else {
                // Nothing marks a connection that the network has forgotten.
                if let Some(heard) = self.probe().await?
                    && !pass(&mut assembly, heard, events).await?
                {
                    return Ok(());
                }
                continue;
            };
            if !pass(&mut assembly, heard?, events).await? {
                return Ok(());
            }
        }
    }
}

impl PostgresReceiver {
    async fn next(&mut self) -> Result<Notification, String> {
        self.listener.next().await.map_err(|error| error.to_string())
    }

    /// Sends a notification to itself, and waits until one arrives. Returns it if it was another.
    async fn probe(&mut self) -> Result<Option<Notification>, String> {
        let notice = Notice { channel: self.channel.clone(), ..Notice::default() };
        let notices = [notice];
        let notifier = Arc::clone(&self.notifier);
        let probing = async {
            // The listener is polled meanwhile, or a full connection would wait for itself.
            let (sent, heard) = tokio::join!(notifier.notify(&notices), self.next());
            sent.map_err(|error| error.to_string())?;
            heard
        };
        let heard = timeout(DEADLINE, probing).await.map_err(|_| UNHEARD.to_owned())??;
        Ok(Some(heard).filter(|heard| !heard.payload.is_empty()))
    }
}

/// Passes a message on. `false` if the node is gone.
async fn pass(
    assembly: &mut Assembly,
    heard: Notification,
    events: &mpsc::Sender<Event>,
) -> Result<bool, String> {
    if heard.is_own && heard.channel == ALL {
        return Ok(true);
    }
    let Some(message) = assembly.add(&heard.payload) else { return Ok(true) };
    match timeout(DEADLINE, events.send(Event::Message(message))).await {
        Ok(taken) => Ok(taken.is_ok()),
        Err(_) => Err("this node takes no messages".to_owned()),
    }
}

/// The channel of a node.
fn channel(node: NodeId) -> String {
    format!("{ALL}.{node}")
}

/// The key of a node's listener, among the database's advisory locks.
fn key(node: NodeId) -> i64 {
    /// Two letters, so that other locks are unlikely to be meant.
    const PREFIX: i64 = 0x6664_0000_0000_0000;
    i64::from_str_radix(&node.to_string(), 16).map_or(PREFIX, |node| PREFIX | node)
}
