//! Messages of other services: consumed, dispatched, handled, and acknowledged only then.

mod consumer;
mod dead_letters;
mod dispatch;
mod rpc;
mod users;

pub use consumer::QueueConsumer;
pub use users::forget_repeats;
