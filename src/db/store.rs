//! Store: a closed choice of two databases.

use std::sync::Arc;
use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};

use super::backend::{Backend, read};
use super::config::Config;
use super::error::StoreError;
use super::pool_state::PoolState;
use super::postgres::notify::Notifications;
use super::sinks::Outbox;
use super::{postgres, schema, sqlite};
use crate::domain::{ChatId, Timestamp};

/// The database. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Store {
    pub(super) backend: Backend,
    pub(super) outbox: Outbox,
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
    pub(super) fn horizon(&self) -> i64 {
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

    /// The database's notifications; SQLite has none.
    #[must_use]
    pub fn notifications(&self) -> Option<Notifications> {
        match &self.backend {
            Backend::Postgres(pool) => Some(Notifications::new(Arc::clone(&pool.server))),
            Backend::Sqlite(_) => None,
        }
    }

    /// The connections that read, at this moment.
    #[must_use]
    pub fn pool(&self) -> PoolState {
        match &self.backend {
            Backend::Postgres(pool) => pool.state(),
            Backend::Sqlite(file) => file.state(),
        }
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

/// The file of a SQLite database; `None` for PostgreSQL.
///
/// # Errors
/// `Setup`, as for [`Store::connect`].
pub fn sqlite_file(config: &Config) -> Result<Option<&str>, StoreError> {
    Ok(match url_kind(config)? {
        UrlKind::Sqlite(path) => Some(path),
        UrlKind::Postgres => None,
    })
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
