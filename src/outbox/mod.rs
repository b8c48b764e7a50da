//! Outbox relay: delivers the events of the database's outbox to each sink, in order and at least
//! once.
//!
//! Each [`Sink`] has a [`Relay`] of its own, and its own progress in the database: a slow or absent
//! one delays no other. An event is deleted once every configured sink has it.

mod gauges;
mod partitions;
mod relay;
mod sink;

pub use gauges::watch;
pub use partitions::Ready;
pub use relay::{Pace, Relay};
pub use sink::{Outcome, RelayExit, Report, Sink};
