//! Notifications: LISTEN and NOTIFY, on two connections of their own.
//!
//! Never in a transaction that writes: a pending notification holds a lock that all commits with
//! notifications share.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Statement};

use super::{ANSWER_TIMEOUT, ENGLISH, Messages, RELIED_ON, Server, describe};
use crate::db::StoreError;

/// NOTIFY assigns a transaction id, so its commit would wait for the disk.
const PUBLISHER: &str = "SET synchronous_commit = off; SET statement_timeout = '5s'; \
    SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '5s'";

/// A listener holds its key's lock shared, so a new one need not wait for the server to notice the
/// end of the last.
const NOTIFY: &str = "\
    SELECT pg_notify(channel, payload)::text, \
    CASE WHEN key IS NULL THEN true ELSE NOT pg_try_advisory_xact_lock(key) END \
    FROM unnest($1::text[], $2::text[], $3::int8[]) AS notice(channel, payload, key)";

/// The deadline for the connections to open, and for the first notification.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens connections for notifications.
#[derive(Clone)]
pub struct Notifications(Arc<Server>);

/// The connection that publishes.
pub struct Notifier {
    client: Client,
    notify: Statement,
}

/// The connection that listens.
pub struct Listener {
    /// Dropped, it ends the connection.
    _client: Client,
    messages: Messages,
    /// The publisher's process.
    own: i32,
}

/// A notification to be sent.
#[derive(Debug, Default)]
pub struct Notice {
    pub channel: String,
    /// Less than 8,000 bytes, without NUL. The server drops a repetition in the same call.
    pub payload: String,
    /// The listener's key, to ask whether it listens.
    pub key: Option<i64>,
}

/// A notification that has arrived.
#[derive(Debug)]
pub struct Notification {
    pub channel: String,
    pub payload: String,
    /// True if this node sent it.
    pub is_own: bool,
}

impl Notifications {
    pub(in crate::db) fn new(server: Arc<Server>) -> Self {
        Self(server)
    }

    /// Opens both connections, and listens to the channels. Others learn by `key` that it does.
    ///
    /// # Errors
    /// The server does not answer in time.
    pub async fn open(
        &self,
        channels: &[&str],
        key: i64,
    ) -> Result<(Notifier, Listener), StoreError> {
        let late = |_| StoreError::Unavailable("no connection opened in time".to_owned());
        timeout(OPEN_TIMEOUT, self.open_both(channels, key)).await.map_err(late)?
    }

    async fn open_both(
        &self,
        channels: &[&str],
        key: i64,
    ) -> Result<(Notifier, Listener), StoreError> {
        let client = self.0.client().await?;
        let setup = format!("{PUBLISHER}; {RELIED_ON}; {ENGLISH}");
        client.batch_execute(&setup).await.map_err(|error| lost(&error))?;
        let notify = client.prepare(NOTIFY).await.map_err(|error| lost(&error))?;
        let own = client.query_one("SELECT pg_backend_pid()", &[]).await;
        let own = own.and_then(|row| row.try_get(0)).map_err(|error| lost(&error))?;
        let notifier = Notifier { client, notify };
        let (client, mut messages) = self.0.connect().await?;
        let mut setup = format!("{RELIED_ON}; {ENGLISH}; SELECT pg_advisory_lock_shared({key})");
        for channel in channels {
            setup.push_str(&format!("; LISTEN \"{channel}\""));
        }
        {
            let mut listening = pin!(client.batch_execute(&setup));
            // The connection works while its messages are polled.
            loop {
                tokio::select! {
                    listening = &mut listening => {
                        listening.map_err(|error| lost(&error))?;
                        break;
                    }
                    message = messages.next() => drop(received(message)?),
                }
            }
        }
        Ok((notifier, Listener { _client: client, messages, own }))
    }
}

impl Notifier {
    /// Sends notifications in one transaction. Returns for each, in their order, `false` if its
    /// listener is missing.
    ///
    /// # Errors
    /// They may be lost.
    pub async fn notify(&self, notices: &[Notice]) -> Result<Vec<bool>, StoreError> {
        let channels: Vec<_> = notices.iter().map(|notice| notice.channel.as_str()).collect();
        let payloads: Vec<_> = notices.iter().map(|notice| notice.payload.as_str()).collect();
        let keys: Vec<_> = notices.iter().map(|notice| notice.key).collect();
        let parameters: [&(dyn ToSql + Sync); 3] = [&channels, &payloads, &keys];
        let sent = self.client.query(&self.notify, &parameters);
        let late = |_| StoreError::Unavailable("no answer came in time".to_owned());
        let rows = timeout(ANSWER_TIMEOUT, sent).await.map_err(late)?;
        let rows = rows.map_err(|error| lost(&error))?;
        rows.iter().map(|row| row.try_get(1).map_err(|error| lost(&error))).collect()
    }
}

impl Listener {
    /// The next notification. Safe to cancel.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn next(&mut self) -> Result<Notification, StoreError> {
        loop {
            if let AsyncMessage::Notification(heard) = received(self.messages.next().await)? {
                return Ok(Notification {
                    channel: heard.channel().to_owned(),
                    payload: heard.payload().to_owned(),
                    is_own: heard.process_id() == self.own,
                });
            }
        }
    }
}

fn received(
    message: Option<Result<AsyncMessage, tokio_postgres::Error>>,
) -> Result<AsyncMessage, StoreError> {
    match message {
        Some(message) => message.map_err(|error| lost(&error)),
        None => Err(StoreError::Unavailable("the connection was closed".to_owned())),
    }
}

fn lost(error: &tokio_postgres::Error) -> StoreError {
    StoreError::Unavailable(describe(error))
}
