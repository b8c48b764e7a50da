//! Storage. The only module that knows diesel, PostgreSQL and SQLite.
//!
//! Reads, and the few writes that are not messages, go through a [`Store`]; messages and read marks
//! through a [`Writer`], which has a connection of its own and writes batches. Both databases have
//! the same tables and keep the same promises: plain queries are written once and compiled for each
//! (`backend`), the others exist twice under the same names (`postgres`, `sqlite`). The outcome of
//! a batch is decided once, without a database (`plan`).

mod accounts;
mod admission;
mod backend;
mod backup;
mod chats;
mod config;
mod durability;
mod error;
mod inbox;
mod journal;
mod messages;
mod migrations;
mod outbox;
mod plan;
mod pool_state;
mod postgres;
mod rows;
mod schema;
mod search;
mod service_keys;
mod sinks;
mod sqlite;
mod store;
mod types;
mod users;
mod write_op;
mod writer;

pub use accounts::{Account, NewAccount, Refreshed};
pub use admission::Admission;
pub use backup::restore;
pub use chats::{ChatPage, GroupResult, Scope};
pub use config::Config;
pub use error::StoreError;
pub use journal::{Change, ChatEnd, JournalEntry, Place};
pub use messages::{HistoryPage, Range};
pub use migrations::{Direction, Migration};
pub use outbox::{OutboxEntry, OutboxState};
pub use pool_state::PoolState;
pub use postgres::notify::{Listener, Notice, Notification, Notifications, Notifier};
pub use store::{Store, check};
pub use users::UserFilter;
pub use write_op::{Mark, Marked, Refusal, Write, WriteId, WriteOp, WriteResult, Written};
pub use writer::{Writer, WriterEvents};
