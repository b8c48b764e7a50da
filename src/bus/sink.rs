//! RabbitMQ as a sink of the outbox: publisher-confirm batches to an exchange and to queues.
//!
//! The claim is an exclusive queue: the broker deletes it together with the connection, so that a
//! node without the claim cannot publish any more, however late it notices.

mod topology;

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Confirmation};
use prometheus_client::metrics::counter::Counter;
use tokio::time::timeout;

use self::topology::answer;
use super::context::BusContext;
use super::destination::{Destination, destinations};
use super::event::Event;
use crate::amqp::{Broker, BusError};
use crate::metrics::Metrics;
use crate::outbox::{Outcome, Ready, RelayExit, Report, Sink};
use crate::settings::RabbitMq;

/// The sink's name, under which its progress is stored.
pub const SINK: &str = "rabbitmq";
/// True if the broker returns messages without a queue.
const MANDATORY: bool = true;

/// Publishes to the exchange and to each event queue; each is an endpoint.
pub struct RabbitMqSink {
    settings: Arc<RabbitMq>,
    broker: Broker,
    metrics: Arc<Metrics>,
    destinations: Vec<Destination>,
    /// Present with the claim.
    channel: Option<Channel>,
}

/// An event, and the destinations without it.
struct Publish {
    event: Event,
    missing: Vec<usize>,
}

/// The broker's answer for each of an event's destinations.
type Answers = Vec<(usize, Result<Confirmation, PublishError>)>;

/// Reasons for a missing confirmation.
#[derive(Debug)]
enum PublishError {
    /// Unknown outcome: published again, at the risk of a duplicate.
    Late,
    Broken(lapin::Error),
}

impl From<BusError> for RelayExit {
    fn from(error: BusError) -> Self {
        match error.refusal() {
            Some(_) => Self::Refused(error.to_string()),
            None => Self::Lost(error.to_string()),
        }
    }
}

impl Sink for RabbitMqSink {
    fn name(&self) -> &str {
        SINK
    }

    async fn claim(&mut self) -> Result<(), RelayExit> {
        let channel = self.broker.channel().await?;
        self.lock(&channel).await?;
        self.declare_exchange(&channel).await?;
        self.declare_queues().await;
        answer(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        self.channel = Some(channel);
        Ok(())
    }

    async fn release(&mut self) {
        if let Some(channel) = self.channel.take() {
            self.unlock(&channel).await;
        }
    }

    async fn publish(&mut self, batch: &[Ready<'_>]) -> Report {
        let Some(channel) = self.channel.clone() else {
            return Report { exit: Some(BusError::Away.into()), ..Report::default() };
        };
        self.publish_on(&channel, batch).await
    }

    async fn repair(&mut self) {
        self.declare_queues().await;
    }

    fn check(&self) -> Result<(), RelayExit> {
        match &self.channel {
            Some(channel) if channel.status().connected() => Ok(()),
            _ => Err(BusError::Away.into()),
        }
    }

    fn stalled(&self) -> String {
        self.lock_is_elsewhere()
    }
}

impl RabbitMqSink {
    #[must_use]
    pub fn new(context: &BusContext) -> Self {
        Self {
            settings: Arc::clone(&context.settings),
            broker: context.broker.clone(),
            metrics: Arc::clone(&context.metrics),
            destinations: destinations(&context.settings),
            channel: None,
        }
    }

    fn to_publish(&self, ready: &Ready<'_>) -> Publish {
        let everyone: Vec<usize> = (0..self.destinations.len()).collect();
        Publish {
            event: Event::from_outbox(ready.entry, &self.settings.source),
            missing: ready.missing.map_or(everyone, <[usize]>::to_vec),
        }
    }

    /// Publishes, and waits for all confirmations.
    async fn publish_on(&self, channel: &Channel, batch: &[Ready<'_>]) -> Report {
        let batch: Vec<Publish> = batch.iter().map(|ready| self.to_publish(ready)).collect();
        count(&self.metrics.events_published, batch.len());
        let posts: Vec<_> = batch.iter().map(|publish| self.post(channel, publish)).collect();
        let most = posts.len().max(1);
        let answers = stream::iter(posts).buffered(most).collect::<Vec<_>>().await;
        let broken = answers.iter().flatten().find_map(|(_, answer)| match answer {
            Err(PublishError::Broken(error)) => Some(error.clone()),
            Ok(_) | Err(PublishError::Late) => None,
        });
        let returned: HashSet<_> = answers.iter().flatten().filter_map(returned).collect();
        let (mut outcomes, mut confirmed) = (Vec::with_capacity(batch.len()), 0);
        let mut any_is_late = false;
        for (publish, answers) in batch.iter().zip(&answers) {
            let (mut missing, mut why, mut is_late) = (Vec::new(), None, false);
            for (to, answer) in answers {
                let Some(destination) = self.destinations.get(*to) else { continue };
                let has_returned = destination.queue().is_some_and(|queue| {
                    // A broken channel may have kept returned messages back.
                    broken.is_some() || returned.contains(&(&*publish.event.id, queue))
                });
                is_late |= matches!(answer, Err(PublishError::Late));
                if has_returned || !answer.as_ref().is_ok_and(Confirmation::is_ack) {
                    missing.push(*to);
                    why = why.or_else(|| Some(destination.why_not(has_returned)));
                }
            }
            any_is_late |= is_late;
            outcomes.push(match why {
                None => {
                    confirmed += 1;
                    Outcome::Published
                }
                Some(why) => {
                    // A batch takes as long as its slowest event, so the deadline leaves most of
                    // the time to the others.
                    let timeout = self.settings.confirm_timeout();
                    let rest = if is_late { timeout * 4 } else { Duration::ZERO };
                    Outcome::Refused { missing, rest, why }
                }
            });
        }
        count(&self.metrics.events_confirmed, confirmed);
        count(&self.metrics.events_retried, batch.len() - confirmed);
        let exit = if let Some(error) = broken {
            Some(BusError::from(error).into())
        } else if any_is_late && confirmed == 0 {
            self.broker.give_up();
            Some(RelayExit::Refused("the broker confirms nothing".to_owned()))
        } else {
            None
        };
        Report { outcomes, exit }
    }

    /// Publishes to each destination that lacks the event, and then waits for the confirmations.
    async fn post(&self, channel: &Channel, publish: &Publish) -> Answers {
        let mut confirms = Vec::with_capacity(publish.missing.len());
        for &to in &publish.missing {
            if let Some(destination) = self.destinations.get(to) {
                let published = destination.publish(channel, &publish.event, MANDATORY);
                confirms.push((to, self.in_time(published).await));
            }
        }
        let mut answers = Vec::with_capacity(confirms.len());
        for (to, confirm) in confirms {
            let answer = match confirm {
                Ok(confirm) => self.in_time(confirm).await,
                Err(error) => Err(error),
            };
            answers.push((to, answer));
        }
        answers
    }

    /// The broker's answer, within its deadline. While the broker blocks the connection the
    /// deadline is extended: another connection would be blocked, too.
    async fn in_time<T>(
        &self,
        answering: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, PublishError> {
        let mut answering = pin!(answering);
        loop {
            match timeout(self.settings.confirm_timeout(), &mut answering).await {
                Ok(answer) => return answer.map_err(PublishError::Broken),
                Err(_) if self.broker.is_blocked() => {}
                Err(_) => return Err(PublishError::Late),
            }
        }
    }
}

/// A message that was returned since its queue is missing, by its event and the queue. The client
/// library attaches it to whichever confirmation is next, so an outcome needs all confirmations of
/// the batch.
fn returned((_, answer): &(usize, Result<Confirmation, PublishError>)) -> Option<(&str, &str)> {
    let Ok(Confirmation::Ack(message) | Confirmation::Nack(message)) = answer else {
        return None;
    };
    let message = message.as_ref()?;
    let id = message.properties.message_id().as_ref()?;
    Some((id.as_str(), message.routing_key.as_str()))
}

fn count(counter: &Counter, more: usize) {
    counter.inc_by(u64::try_from(more).unwrap_or(u64::MAX));
}
