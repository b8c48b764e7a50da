//! RabbitMQ connections.

mod connection;

pub use connection::{ANSWER_TIMEOUT, Broker, BusError, try_connect};

/// The delivery mode of a message that survives a restart of the broker in a durable queue.
pub const PERSISTENT: u8 = 2;
