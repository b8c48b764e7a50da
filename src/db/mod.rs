//! Storage. The only module that knows diesel, PostgreSQL and SQLite.
//!
//! Reads, and the few writes that are not messages, go through a [`Store`]; messages and read marks
//! through a [`Writer`], which has a connection of its own and writes batches. Both databases have
//! the same tables and keep the same promises: plain queries are written once and compiled for each
//! (`backend`), the others exist twice under the same names (`postgres`, `sqlite`). The outcome of
//! a batch is decided once, without a database (`plan`).

mod admission;
mod backend;
mod chats;
mod error;
mod inbox;
mod journal;
mod messages;
mod migrations;
mod outbox;
mod plan;
mod postgres;
mod rows;
mod schema;
mod search;
mod sqlite;
mod types;
mod users;
mod write_op;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};

pub use admission::Admission;
pub use chats::{ChatPage, GroupResult, Scope};
pub use error::StoreError;
pub use journal::{Change, JournalEntry};
pub use messages::{HistoryPage, Range};
pub use migrations::{Direction, Migration};
pub use outbox::{OutboxEntry, OutboxState};
pub use users::UserFilter;
pub use write_op::{Mark, Marked, Refusal, Write, WriteId, WriteOp, WriteResult, Written};
pub use writer::{Writer, WriterEvents};

use crate::domain::{ChatId, Timestamp};
use backend::{Backend, read};
use outbox::Outbox;

/// Address of the database, and limits of its connections.
#[derive(Clone)]
pub struct Config {
    /// `sqlite://path/to/file`, or `postgres://user:password@host:port/database?sslmode=…`.
    pub url: String,
    /// Number of connections that read.
    pub pool_size: usize,
    /// Time that a query waits for a connection before it is `Unavailable`.
    pub acquire_timeout: Duration,
    /// The only certificates that may vouch for the server; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// The sinks of the outbox, by name. Without any, no events are written.
    pub sinks: Vec<String>,
    /// True if a missing SQLite file is created.
    pub create: bool,
}

/// The database. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    outbox: Outbox,
    /// Tolerance for token times ahead of this clock.
    leeway: Duration,
}

/// The default tolerance.
const LEEWAY: Duration = Duration::from_secs(30);

impl Store {
    /// Sets the leeway that tokens are verified with.
    #[must_use]
    pub fn with_leeway(self, leeway: Duration) -> Self {
        Self { leeway, ..self }
    }

    /// The latest plausible issue time, in seconds.
    fn horizon(&self) -> i64 {
        Timestamp::now().after(self.leeway).seconds()
    }

    /// Connects, and checks the database.
    ///
    /// # Errors
    /// `Setup` where the configuration or the database cannot work, `Unavailable` where the database
    /// does not answer.
    pub async fn connect(config: &Config) -> Result<Self, StoreError> {
        let backend = match url_kind(config)? {
            UrlKind::Sqlite(path) => {
                let (readers, wait) = (config.pool_size, config.acquire_timeout);
                let file = sqlite::File::open(path.into(), readers, wait, config.create).await?;
                Backend::Sqlite(file)
            }
            UrlKind::Postgres => {
                let pool = postgres::Pool::new(config)?;
                postgres::start::check(&pool.server).await?;
                Backend::Postgres(pool)
            }
        };
        let store = Self { backend, outbox: Outbox::new(&config.sinks), leeway: LEEWAY };
        let one = diesel::dsl::sql::<diesel::sql_types::Integer>("1");
        let _: i32 =
            read!(store, |connection| { run!(diesel::select(one).get_result(connection)) })?;
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

    /// Checks that the database answers as requests need it: over the same connections, with a
    /// prepared statement on a table.
    pub async fn ping(&self) -> Result<(), StoreError> {
        use schema::chats;

        let _: Option<ChatId> = read!(self, |connection| {
            let none = chats::table.filter(chats::id.eq(ChatId(0))).select(chats::id);
            run!(none.first(connection)).optional()
        })?;
        Ok(())
    }
}

/// Checks the database's configuration without connecting and without creating anything: returns
/// warnings.
///
/// # Errors
/// `Setup`, as for [`Store::connect`].
pub fn check(config: &Config) -> Result<Option<String>, StoreError> {
    match url_kind(config)? {
        UrlKind::Sqlite(path) => sqlite::check(path.as_ref()),
        UrlKind::Postgres => {
            postgres::Server::parse(&config.url, config.ca_file.as_deref()).map(|_| None)
        }
    }
}

/// The kinds of database URLs.
enum UrlKind<'a> {
    Sqlite(&'a str),
    Postgres,
}

fn url_kind(config: &Config) -> Result<UrlKind<'_>, StoreError> {
    let said = match config.url.split_once("://") {
        Some(("sqlite", "")) => "sqlite:// needs the path of a file",
        Some(("sqlite", path)) => return Ok(UrlKind::Sqlite(path)),
        Some(("postgres" | "postgresql", _)) => return Ok(UrlKind::Postgres),
        _ => "a database's URL begins with sqlite:// or postgres://",
    };
    Err(StoreError::Setup(said.to_owned()))
}

/// The whole minutes since the epoch.
fn minute(time: Timestamp) -> i64 {
    time.seconds().div_euclid(60)
}
