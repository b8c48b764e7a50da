//! Dead letters: messages that cannot be handled, moved to a queue of their own.

use anyhow::{Context as _, bail, ensure};
use lapin::message::Delivery;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Confirmation};
use tokio::time::timeout;

use crate::amqp::PERSISTENT;
use crate::bus::context::BusContext;

/// Headers that name the reason and the original queue.
const REASON: &str = "x-frontdesk-reason";
const QUEUE: &str = "x-frontdesk-queue";
/// The longest reason, in characters: it may quote the message.
const REASON_CHARS: usize = 500;
/// The most bytes of headers that are kept: with ours they must fit into one frame.
const MOST_HEADERS: usize = 65_536;
/// Headers that would make the broker deliver the message elsewhere, too.
const DISTRIBUTION: [&str; 2] = ["CC", "BCC"];

/// The queue of dead letters.
pub struct DeadLetters {
    context: BusContext,
    queue: String,
}

impl DeadLetters {
    #[must_use]
    pub fn new(context: BusContext) -> Self {
        // The settings guarantee a name.
        let queue =
            context.settings.prefixed(&context.settings.dead_letter_queue).unwrap_or_default();
        Self { context, queue }
    }

    /// Moves a message of `queue`, and waits for the broker's confirmation. It may be acknowledged
    /// then.
    ///
    /// # Errors
    /// It is not in the dead-letter queue, or the outcome is unknown.
    pub async fn dead_letter(
        &self,
        letter: &Delivery,
        queue: &str,
        reason: &str,
    ) -> anyhow::Result<()> {
        let moved = timeout(self.context.settings.confirm_timeout(), async {
            let properties = marked(&letter.properties, queue, reason);
            if !self.publish(&letter.data, properties.clone()).await? {
                self.context.broker.queue(&self.queue).await?;
                let is_there = self.publish(&letter.data, properties).await?;
                ensure!(is_there, "there is no queue {}", self.queue);
            }
            Ok(())
        });
        moved.await.context("the broker did not confirm in time").flatten()?;
        self.context.metrics.bus_dead_lettered.inc();
        log::warn!("moved a message of {queue} to the dead letters in {}", self.queue);
        log::debug!("reason for the dead letter in {}: {reason}", self.queue);
        Ok(())
    }

    /// `false` if the queue is missing. Uses a channel of its own, which a refusal closes.
    async fn publish(&self, body: &[u8], properties: BasicProperties) -> anyhow::Result<bool> {
        let channel = self.context.broker.try_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let queue = self.queue.as_str().into();
        let confirm = channel.basic_publish("".into(), queue, options, body, properties).await?;
        match confirm.await? {
            Confirmation::Ack(returned) => Ok(returned.is_none()),
            Confirmation::Nack(_) | Confirmation::NotRequested => {
                bail!("{} did not take it", self.queue)
            }
        }
    }
}

/// The original properties and the reason, without those that would make the broker refuse it
/// (another's `user_id`, headers that fill a frame), expire it (`expiration`), or deliver it
/// elsewhere.
fn marked(properties: &BasicProperties, queue: &str, reason: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(came) = properties.headers().as_ref().filter(|came| size(came) <= MOST_HEADERS) {
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

/// Size of headers on the wire in bytes, rounded up.
fn size(headers: &FieldTable) -> usize {
    headers.inner().iter().map(|(name, value)| 1 + name.as_str().len() + value_size(value)).sum()
}

fn value_size(value: &AMQPValue) -> usize {
    // The type, and a number or a length.
    9 + match value {
        AMQPValue::ShortString(text) => text.as_str().len(),
        AMQPValue::LongString(text) => text.len(),
        AMQPValue::ByteArray(bytes) => bytes.len(),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(value_size).sum(),
        AMQPValue::FieldTable(table) => size(table),
        _ => 0,
    }
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

    #[test]
    fn headers_that_fill_a_frame_are_not_kept() {
        let long = || AMQPValue::LongString("x".repeat(7_000).into());
        let mut deep = FieldTable::default();
        deep.insert("array".into(), AMQPValue::FieldArray(vec![long(); 9].into()));
        let mut headers = FieldTable::default();
        headers.insert("table".into(), AMQPValue::FieldTable(deep));
        let kept = |headers: &FieldTable| {
            let came = BasicProperties::default().with_headers(headers.clone());
            marked(&came, "desk", "why").headers().as_ref().unwrap().inner().len()
        };
        assert_eq!(kept(&headers), 3);
        headers.insert("more".into(), long());
        assert_eq!(kept(&headers), 2, "ours alone");
    }
}
