//! In-memory driver of the backplane: nodes of one process; in production, one.

#![expect(clippy::disallowed_types, reason = "the network is shared; never held over an await")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::backplane::{Delivery, Event, Port, PublishError, Target};
use crate::domain::NodeId;

type Members = HashMap<NodeId, mpsc::Sender<Event>>;

/// Nodes that reach each other in memory. Clones are the same network.
#[derive(Clone, Default)]
pub struct LocalNetwork(Arc<Mutex<Members>>);

/// Leaves the network when it is dropped.
struct Membership {
    network: LocalNetwork,
    node: NodeId,
}

impl LocalNetwork {
    /// Drives a node's backplane until the last handle to it is dropped.
    pub async fn run(self, node: NodeId, mut port: Port) {
        {
            let mut members = self.members();
            // Before any message.
            if port.events.try_send(Event::Connected).is_err() {
                return;
            }
            members.insert(node, port.events);
        }
        let membership = Membership { network: self, node };
        while let Some(mut publication) = port.publications.next().await {
            let bytes = std::mem::take(&mut publication.bytes);
            let outcome = membership.deliver(publication.target, bytes);
            publication.conclude(outcome);
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership {
    fn deliver(&self, target: Target, bytes: Vec<u8>) -> Result<Delivery, PublishError> {
        let members = self.network.members();
        let deliver = |to: &mpsc::Sender<Event>, bytes| match to.try_send(Event::Message(bytes)) {
            Ok(()) => Ok(Delivery::Sent),
            Err(mpsc::error::TrySendError::Full(_)) => Err(PublishError::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(Delivery::NoReceiver),
        };
        if let Some(node) = target.node() {
            return members.get(&node).map_or(Ok(Delivery::NoReceiver), |to| deliver(to, bytes));
        }
        let others = members.iter().filter(|(node, _)| **node != self.node);
        // A full node does not delay the others.
        let outcomes: Vec<_> = others.map(|(_, to)| deliver(to, bytes.clone())).collect();
        outcomes.into_iter().find(Result::is_err).unwrap_or(Ok(Delivery::Sent))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.network.members().remove(&self.node);
    }
}
