//! Sink interface: a consumer of the outbox.

use std::time::Duration;

use super::Ready;

/// A consumer of the outbox that gets every event, those of one key in order. Its futures run on one
/// thread.
pub trait Sink {
    /// The name under which its progress is stored: unique, and the same on every node and after
    /// every restart. Configured in [`crate::db::Config::sinks`] as well.
    fn name(&self) -> &str;

    /// Claims the sink: this node alone delivers to it, until [`Sink::publish`] says otherwise.
    ///
    /// # Errors
    /// Another node has the claim, or the sink is away.
    fn claim(&mut self) -> impl Future<Output = Result<(), RelayExit>>;

    /// Releases the claim.
    fn release(&mut self) -> impl Future<Output = ()>;

    /// Publishes events of different keys, each to the endpoints that lack it.
    fn publish(&mut self, batch: &[Ready<'_>]) -> impl Future<Output = Report>;

    /// Called after a batch without a published event, before the next try.
    fn repair(&mut self) -> impl Future<Output = ()>;

    /// True if the claim is known to be lost.
    ///
    /// # Errors
    /// The claim is lost.
    fn check(&self) -> Result<(), RelayExit>;

    /// The log's explanation while another node has the claim and events wait.
    fn stalled(&self) -> String;
}

/// The outcomes of a batch, in the order of the events; and the reason, if the claim is over.
#[derive(Debug, Default)]
pub struct Report {
    pub outcomes: Vec<Outcome>,
    pub exit: Option<RelayExit>,
}

#[derive(Debug)]
pub enum Outcome {
    /// Every endpoint has it.
    Published,
    /// These endpoints, by index, lack it: it is retried, not before `rest` is over.
    Refused { missing: Vec<usize>, rest: Duration, why: String },
}

/// Reasons for which this node does not deliver to the sink.
#[derive(Debug)]
pub enum RelayExit {
    /// Another node has the claim.
    Elsewhere,
    /// The connection is gone, which is logged already.
    Lost(String),
    /// This node has lost the database: another may reach it.
    DatabaseDown(String),
    /// For a reason that the operator can remove.
    Refused(String),
}
