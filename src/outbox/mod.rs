//! Outbox relay: delivers what the database's outbox holds to each sink, in order and at least once.
//!
//! Each [`Sink`] has a [`Relay`] of its own, and progress of its own in the database: one that is slow
//! or away holds no other back. An event is gone once every sink that is configured has it.

mod gauges;
mod partitions;
mod relay;
mod sink;

pub use gauges::watch;
pub use partitions::Ready;
pub use relay::{Pace, Relay};
pub use sink::{Outcome, RelayExit, Report, Sink};
