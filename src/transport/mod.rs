//! Transports: each hosts [`Session`](crate::session::Session)s on its kind of connection.

mod clock;
mod host;
mod liveness;
pub mod socketio;
mod websocket;
pub mod ws;

pub use clock::SessionClock;
