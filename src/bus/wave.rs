//! What was published together, and what the broker says of it.

use std::collections::HashSet;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::BasicReturnMessage;
use lapin::{Confirmation, PublisherConfirm};

/// Messages of one channel whose confirmations are waited for together. A message that is given back
/// comes with whichever confirmation is the next, not with its own, so none of them is believed before
/// each one is there.
#[derive(Default)]
pub(super) struct Wave {
    confirms: FuturesUnordered<LocalBoxFuture<'static, (String, lapin::Result<Confirmation>)>>,
    heard: Heard,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Taken,
    Refused,
    /// There is no such queue.
    Returned,
}

#[derive(Default)]
struct Heard {
    /// By the messages' ids, whether the broker said yes.
    confirmed: Vec<(String, bool)>,
    returned: HashSet<String>,
}

impl Wave {
    /// One more message; its `message_id` must be this id.
    pub fn push(&mut self, id: String, confirm: PublisherConfirm) {
        self.confirms.push(confirm.map(|confirmation| (id, confirmation)).boxed_local());
    }

    pub fn len(&self) -> usize {
        self.confirms.len()
    }

    /// Whether nothing is waited for.
    pub fn is_over(&self) -> bool {
        self.confirms.is_empty()
    }

    /// Waits for the last confirmation. Dropped before that, it may be asked again.
    ///
    /// # Errors
    /// The channel is lost.
    pub async fn end(&mut self) -> lapin::Result<Vec<(String, Fate)>> {
        while let Some((id, confirmation)) = self.confirms.next().await {
            let confirmation = confirmation?;
            let is_ack = confirmation.is_ack();
            let returned = confirmation.take_message();
            self.heard.note(id, is_ack, returned.as_ref().and_then(message_id));
        }
        Ok(std::mem::take(&mut self.heard).fates())
    }
}

impl Heard {
    fn note(&mut self, id: String, is_ack: bool, returned: Option<&str>) {
        self.confirmed.push((id, is_ack));
        self.returned.extend(returned.map(str::to_owned));
    }

    fn fates(self) -> Vec<(String, Fate)> {
        let Self { confirmed, returned } = self;
        let fated = |(id, is_ack)| {
            let fate = match is_ack {
                _ if returned.contains(&id) => Fate::Returned,
                true => Fate::Taken,
                false => Fate::Refused,
            };
            (id, fate)
        };
        confirmed.into_iter().map(fated).collect()
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
        let mut heard = Heard::default();
        // Confirmed with what came back with another's, before it and after it.
        heard.note("first".into(), true, None);
        heard.note("second".into(), true, Some("third"));
        heard.note("third".into(), true, None);
        heard.note("fourth".into(), false, None);
        heard.note("fifth".into(), true, Some("first"));
        let fates = heard.fates();
        let fates: Vec<_> = fates.iter().map(|(id, fate)| (&**id, *fate)).collect();
        assert_eq!(
            fates,
            [
                ("first", Fate::Returned),
                ("second", Fate::Taken),
                ("third", Fate::Returned),
                ("fourth", Fate::Refused),
                ("fifth", Fate::Taken),
            ]
        );
    }
}
