//! Transports: each hosts [`Session`](crate::session::Session)s on its kind of connection.

pub mod ws;
