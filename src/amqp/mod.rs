//! RabbitMQ's connections, which nodes and the bus share.

mod connection;

pub use connection::{ANSWER_TIMEOUT, Broker, BusError};

/// The delivery mode of a message that survives a restart of the broker, in a queue that does.
pub const PERSISTENT: u8 = 2;
