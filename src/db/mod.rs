//! Stores. The only module that knows diesel, PostgreSQL and SQLite.
//!
//! Reads, and the few writes that are not messages, go through a [`Store`]; messages and read marks
//! through a [`Writer`], which has a connection of its own and writes batches. Both databases have
//! the same tables and keep the same promises: plain queries are written once and compiled for each
//! (`backend`), the rest stands twice under the same names (`postgres`, `sqlite`). What a batch of
//! messages comes to is decided once, without a database (`plan`).

mod admission;
mod backend;
mod chats;
mod error;
mod journal;
mod messages;
mod migrations;
mod news;
mod outbox;
mod plan;
mod postgres;
mod rows;
mod schema;
mod search;
mod sqlite;
mod types;
mod users;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use admission::Admission;
pub use chats::{ChatPage, Scope};
pub use error::StoreError;
pub use journal::{Change, Entry};
pub use messages::{HistoryPage, Range};
pub use migrations::{Direction, Migration};
pub use outbox::{OutboxEntry, OutboxState};
pub use users::UserFilter;
pub use writer::{Batch, Mark, Marked, Refusal, Writer, WriterEvents, Written};

use crate::domain::Timestamp;
use backend::{Backend, read};
use outbox::Outbox;

/// Where the database is, and how to connect.
#[derive(Clone)]
pub struct Config {
    /// `sqlite://path/to/file`, or `postgres://user:password@host:port/database?sslmode=…`.
    pub url: String,
    /// How many connections read at the same time.
    pub pool_size: usize,
    /// How long a query waits for a connection before it is `Unavailable`.
    pub acquire_timeout: Duration,
    /// The only certificates that may vouch for the server; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether what happens is written down for other services.
    pub outbox: bool,
}

/// The database. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    outbox: Outbox,
    /// How far ahead of this clock a token's time may be.
    leeway: Duration,
}

/// The leeway of who does not set another.
const LEEWAY: Duration = Duration::from_secs(30);

impl Store {
    /// Takes the leeway that tokens are verified with.
    #[must_use]
    pub fn with_leeway(self, leeway: Duration) -> Self {
        Self { leeway, ..self }
    }

    /// The latest second that a token may say it was issued at.
    fn horizon(&self) -> i64 {
        Timestamp::now().after(self.leeway).seconds()
    }

    /// Connects, and makes an SQLite file that does not exist yet.
    ///
    /// # Errors
    /// `Internal` where the configuration cannot work, `Unavailable` where the database does not
    /// answer.
    pub async fn connect(config: &Config) -> Result<Self, StoreError> {
        let backend = match config.url.split_once("://") {
            Some(("sqlite", "")) => {
                return Err(StoreError::Internal("sqlite:// needs the path of a file".to_owned()));
            }
            Some(("sqlite", path)) => {
                let (readers, wait) = (config.pool_size, config.acquire_timeout);
                Backend::Sqlite(sqlite::File::open(path.into(), readers, wait).await?)
            }
            Some(("postgres" | "postgresql", _)) => Backend::Postgres(postgres::Pool::new(config)?),
            _ => {
                let said = "a database's URL begins with sqlite:// or postgres://";
                return Err(StoreError::Internal(said.to_owned()));
            }
        };
        let store = Self { backend, outbox: Outbox::new(config.outbox), leeway: LEEWAY };
        store.ping().await?;
        Ok(store)
    }

    /// Names the database, without a secret: `sqlite frontdesk.db`, `postgres host:5432/frontdesk`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.backend {
            Backend::Postgres(pool) => pool.server.describe(),
            Backend::Sqlite(file) => file.describe(),
        }
    }

    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let one = diesel::dsl::sql::<diesel::sql_types::Integer>("1");
        let _: i32 =
            read!(self, |connection| { run!(diesel::select(one).get_result(connection)) })?;
        Ok(())
    }
}

/// The whole minutes since the epoch.
fn minute(time: Timestamp) -> i64 {
    time.seconds().div_euclid(60)
}
