//! Where a message goes that cannot be understood, so that those behind it go on.

use anyhow::{Context as _, bail};
use lapin::message::Delivery;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Parts;

/// Why it is there, and from where it came.
const REASON: &str = "x-frontdesk-reason";
const QUEUE: &str = "x-frontdesk-queue";
/// The longest reason, in characters: it may quote what was sent.
const REASON_CHARS: usize = 500;
/// A message that outlives a restart of the broker.
const PERSISTENT: u8 = 2;
/// Headers by which the broker itself would deliver the message elsewhere, too.
const DISTRIBUTION: [&str; 2] = ["CC", "BCC"];

/// The queue of dead letters, with a channel of its own.
pub struct DeadLetters {
    parts: Parts,
    queue: String,
    channel: Mutex<Option<Channel>>,
}

impl DeadLetters {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        // The settings make sure that there is a name.
        let queue = parts.settings.named(&parts.settings.dead_letter_queue).unwrap_or_default();
        Self { parts, queue, channel: Mutex::new(None) }
    }

    /// Puts a message of `queue` aside, and waits until the broker has it. Once this has gone well,
    /// it may be acknowledged.
    ///
    /// # Errors
    /// It is not in the queue of dead letters, or nobody can say.
    pub async fn bury(&self, letter: &Delivery, queue: &str, reason: &str) -> anyhow::Result<()> {
        let buried = timeout(self.parts.settings.confirm_timeout(), async {
            let channel = self.channel().await?;
            self.publish(&channel, letter, marked(&letter.properties, queue, reason)).await
        });
        let buried = buried.await.context("the broker did not confirm in time").flatten();
        match buried {
            Ok(()) => {
                self.parts.metrics.bus_dead_lettered.inc();
                log::warn!("a message of {queue} is not understood, and is in {} now", self.queue);
                log::debug!("it is in {} since {reason}", self.queue);
            }
            // Another try begins anew, with another look for the queue.
            Err(_) => *self.channel.lock().await = None,
        }
        buried
    }

    async fn publish(
        &self,
        channel: &Channel,
        letter: &Delivery,
        properties: BasicProperties,
    ) -> anyhow::Result<()> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let queue = self.queue.as_str().into();
        let confirm =
            channel.basic_publish("".into(), queue, options, &letter.data, properties).await?;
        match confirm.await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => bail!("there is no queue {}", self.queue),
            Confirmation::Nack(_) | Confirmation::NotRequested => {
                bail!("{} did not take it", self.queue)
            }
        }
    }

    async fn channel(&self) -> anyhow::Result<Channel> {
        let mut known = self.channel.lock().await;
        if let Some(channel) = known.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        self.parts.broker.queue(&self.queue).await?;
        let channel = self.parts.broker.try_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(known.insert(channel).clone())
    }
}

/// As it came, and why it is here; but without what would make the broker refuse it (another's
/// `user_id`), forget it (`expiration`), or hand it to somebody else.
fn marked(properties: &BasicProperties, queue: &str, reason: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(came) = properties.headers() {
        for (name, value) in came.inner() {
            if !DISTRIBUTION.contains(&name.as_str()) {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
    let text = |text: String| AMQPValue::LongString(LongString::from(text));
    headers.insert(REASON.into(), text(reason.chars().take(REASON_CHARS).collect()));
    headers.insert(QUEUE.into(), text(queue.to_owned()));
    let mut marked =
        BasicProperties::default().with_headers(headers).with_delivery_mode(PERSISTENT);
    macro_rules! keep {
        ($($of:ident => $with:ident),+) => {
            $(if let Some(value) = properties.$of() {
                marked = marked.$with(value.clone());
            })+
        };
    }
    keep! {
        content_type => with_content_type,
        content_encoding => with_content_encoding,
        priority => with_priority,
        correlation_id => with_correlation_id,
        reply_to => with_reply_to,
        message_id => with_message_id,
        timestamp => with_timestamp,
        kind => with_type,
        app_id => with_app_id
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(properties: &BasicProperties, name: &str) -> Option<AMQPValue> {
        properties.headers().as_ref()?.inner().get(name).cloned()
    }

    #[test]
    fn a_dead_letter_tells_why_and_from_where() {
        let mut headers = FieldTable::default();
        headers.insert("mine".into(), AMQPValue::Boolean(true));
        let came = BasicProperties::default().with_headers(headers).with_message_id("m-1".into());
        let marked = marked(&came, "desk", &"x".repeat(9_999));
        assert_eq!(header(&marked, "mine"), Some(AMQPValue::Boolean(true)));
        assert_eq!(header(&marked, QUEUE), Some(AMQPValue::LongString("desk".into())));
        assert_eq!(header(&marked, REASON), Some(AMQPValue::LongString("x".repeat(500).into())));
        assert_eq!(marked.message_id().as_ref().map(|id| id.as_str()), Some("m-1"));
        assert_eq!(marked.delivery_mode(), &Some(PERSISTENT));
    }

    #[test]
    fn a_dead_letter_stays_and_is_taken_from_anybody() {
        let mut headers = FieldTable::default();
        headers.insert("CC".into(), AMQPValue::LongString("desk".into()));
        let came = BasicProperties::default()
            .with_headers(headers)
            .with_expiration("1".into())
            .with_user_id("somebody".into());
        let marked = marked(&came, "desk", "why");
        assert_eq!(header(&marked, "CC"), None);
        assert_eq!((marked.expiration(), marked.user_id()), (&None, &None));
    }
}
