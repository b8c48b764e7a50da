//! Test kit: what the test binaries and the load harness have in common.

pub mod database;
pub mod process;
pub mod proxy;
pub mod tokens;
pub mod websocket;

pub use database::Database;
pub use process::{Daemon, free_address};
pub use proxy::{Cut, Proxy};
