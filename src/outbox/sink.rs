//! Sink: a consumer of the outbox.

use std::time::Duration;

use super::Ready;

/// A consumer of the outbox that gets every event, those of one key in order. Its futures run on one
/// thread.
pub trait Sink {
    /// The name under which its progress is stored: unique, and the same on every node and after every
    /// start. Configured in [`crate::db::Config::sinks`] as well.
    fn name(&self) -> &str;

    /// Makes this node the only one that delivers to the sink, for as long as [`Sink::publish`] says.
    ///
    /// # Errors
    /// Another node is, or the sink is away.
    fn claim(&mut self) -> impl Future<Output = Result<(), RelayExit>>;

    /// Lets another node claim it.
    fn release(&mut self) -> impl Future<Output = ()>;

    /// Publishes events of different keys, each to the endpoints that lack it.
    fn publish(&mut self, batch: &[Ready<'_>]) -> impl Future<Output = Report>;

    /// Called after a batch of which nothing was published, before the next try.
    fn repair(&mut self) -> impl Future<Output = ()>;

    /// True if the claim is known to be lost.
    ///
    /// # Errors
    /// It is.
    fn check(&self) -> Result<(), RelayExit>;

    /// The log's explanation while another node has the claim and events wait.
    fn stalled(&self) -> String;
}

/// The outcome of a batch: one for each event, in the order given. Where the claim is over, also why.
#[derive(Debug, Default)]
pub struct Report {
    pub outcomes: Vec<Outcome>,
    pub exit: Option<RelayExit>,
}

#[derive(Debug)]
pub enum Outcome {
    /// Every endpoint has it.
    Published,
    /// These endpoints, by index, lack it: they get it again, not before `rest` is over.
    Refused { missing: Vec<usize>, rest: Duration, why: String },
}

/// Reasons for which this node does not deliver to the sink.
#[derive(Debug)]
pub enum RelayExit {
    /// Another node does.
    Elsewhere,
    /// The connection is gone, which is logged already.
    Lost(String),
    /// The database cannot be read or written from here: another node may do better.
    DatabaseDown(String),
    /// For a reason that the operator can do something about.
    Refused(String),
}
