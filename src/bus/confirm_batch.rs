//! Publisher-confirm batch: messages that were published together, and their outcomes.

use std::collections::HashSet;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::BasicReturnMessage;
use lapin::{Confirmation, PublisherConfirm};

/// Messages of one channel that are confirmed together. A returned message arrives with whichever
/// confirmation is next, not with its own, so no outcome is known before all are in.
#[derive(Default)]
pub(super) struct ConfirmBatch {
    confirms: FuturesUnordered<LocalBoxFuture<'static, (String, lapin::Result<Confirmation>)>>,
    received: Confirms,
}

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublishOutcome {
    Taken,
    Refused,
    /// The queue is missing.
    Returned,
}

#[derive(Default)]
struct Confirms {
    /// The messages' ids, and whether the broker took each.
    confirmed: Vec<(String, bool)>,
    returned: HashSet<String>,
}

impl ConfirmBatch {
    /// Adds a message; its `message_id` must be this id.
    pub fn push(&mut self, id: String, confirm: PublisherConfirm) {
        self.confirms.push(confirm.map(|confirmation| (id, confirmation)).boxed_local());
    }

    pub fn len(&self) -> usize {
        self.confirms.len()
    }

    /// True if all confirmations are in.
    pub fn is_over(&self) -> bool {
        self.confirms.is_empty()
    }

    /// Waits for the last confirmation. May be called again if it was cancelled.
    ///
    /// # Errors
    /// The channel is lost.
    pub async fn end(&mut self) -> lapin::Result<Vec<(String, PublishOutcome)>> {
        while let Some((id, confirmation)) = self.confirms.next().await {
            let confirmation = confirmation?;
            let is_ack = confirmation.is_ack();
            let returned = confirmation.take_message();
            self.received.note(id, is_ack, returned.as_ref().and_then(message_id));
        }
        Ok(std::mem::take(&mut self.received).outcomes())
    }
}

impl Confirms {
    fn note(&mut self, id: String, is_ack: bool, returned: Option<&str>) {
        self.confirmed.push((id, is_ack));
        self.returned.extend(returned.map(str::to_owned));
    }

    fn outcomes(self) -> Vec<(String, PublishOutcome)> {
        let Self { confirmed, returned } = self;
        let outcome = |(id, is_ack)| {
            let outcome = match is_ack {
                _ if returned.contains(&id) => PublishOutcome::Returned,
                true => PublishOutcome::Taken,
                false => PublishOutcome::Refused,
            };
            (id, outcome)
        };
        confirmed.into_iter().map(outcome).collect()
    }
}

fn message_id(returned: &BasicReturnMessage) -> Option<&str> {
    returned.delivery.properties.message_id().as_ref().map(|id| id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_came_back_is_known_by_its_own_id() {
        let mut received = Confirms::default();
        // The returned messages arrive with other messages' confirmations.
        received.note("first".into(), true, None);
        received.note("second".into(), true, Some("third"));
        received.note("third".into(), true, None);
        received.note("fourth".into(), false, None);
        received.note("fifth".into(), true, Some("first"));
        let outcomes = received.outcomes();
        let outcomes: Vec<_> = outcomes.iter().map(|(id, outcome)| (&**id, *outcome)).collect();
        assert_eq!(
            outcomes,
            [
                ("first", PublishOutcome::Returned),
                ("second", PublishOutcome::Taken),
                ("third", PublishOutcome::Returned),
                ("fourth", PublishOutcome::Refused),
                ("fifth", PublishOutcome::Taken),
            ]
        );
    }
}
