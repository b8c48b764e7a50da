//! Throw-away databases: a SQLite file, or a database on the PostgreSQL that the tests are given.

#![expect(clippy::disallowed_types, reason = "tests share databases, and no actor is among them")]

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::{Client, Error, NoTls};
use url::Url;

/// The maintenance database, from which the others are created.
const VARIABLE: &str = "FRONTDESK_TEST_POSTGRES_URL";

/// Databases that were emptied for the next scenario. Creating one costs more than all else that most
/// scenarios do.
static EMPTIED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Empties every table but those of the migrations, and puts its numbers back to 1.
const EMPTY: &str = "DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') \
    || ' RESTART IDENTITY' FROM pg_tables WHERE schemaname = 'public' \
    AND tablename NOT IN ('__diesel_schema_migrations', 'migration_compatibility')); END $$";

/// An empty database that nothing else uses; dropping it deletes it.
pub enum Database {
    Sqlite(TempDir),
    Postgres {
        maintenance: Url,
        name: String,
        /// Emptied at the end for another scenario, instead of deleted.
        is_reused: bool,
    },
}

impl Database {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a temporary directory"))
    }

    pub async fn postgres() -> Self {
        let maintenance = postgres_url();
        let name = format!("frontdesk_{}", uuid::Uuid::new_v4().simple());
        execute(maintenance.as_str(), &format!("CREATE DATABASE {name}")).await;
        Self::Postgres { maintenance, name, is_reused: false }
    }

    /// A database without rows, which may have its tables already.
    pub async fn postgres_without_rows() -> Self {
        let emptied = EMPTIED.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut database = match emptied {
            Some(name) => Self::Postgres { maintenance: postgres_url(), name, is_reused: true },
            None => Self::postgres().await,
        };
        if let Self::Postgres { is_reused, .. } = &mut database {
            *is_reused = true;
        }
        database
    }

    /// As `database.url` wants it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(dir) => format!("sqlite://{}", dir.path().join("frontdesk.db").display()),
            Self::Postgres { maintenance, name, .. } => with_path(maintenance, name).into(),
        }
    }

    /// As [`url`](Self::url), by another way: through a proxy.
    pub fn url_by_way_of(&self, proxy: SocketAddr) -> String {
        let mut url: Url = self.url().parse().expect("a URL made here");
        url.set_host(Some(&proxy.ip().to_string())).expect("an address is a host");
        url.set_port(Some(proxy.port())).expect("the scheme has ports");
        url.into()
    }

    /// `host:port` of the PostgreSQL server.
    pub fn server(&self) -> String {
        let Self::Postgres { maintenance, .. } = self else { panic!("SQLite has no server") };
        let host = maintenance.host_str().expect("the URL names a host");
        format!("{host}:{}", maintenance.port().unwrap_or(5432))
    }

    /// A connection past the app, for what only the database's own eyes can see.
    pub async fn connect(&self) -> Client {
        connect(&self.url()).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Self::Postgres { maintenance, name, is_reused } = self else { return };
        // What a failed scenario leaves behind may be anything.
        let is_reused = *is_reused && !std::thread::panicking();
        let (maintenance, base) = (maintenance.clone(), name.clone());
        // A drop cannot wait for the scenario's own runtime, which may be what runs it.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                if is_reused && empty(&maintenance, &base).await.is_ok() {
                    EMPTIED.lock().unwrap_or_else(PoisonError::into_inner).push(base);
                } else {
                    let drop = format!("DROP DATABASE {base} WITH (FORCE)");
                    execute(maintenance.as_str(), &drop).await;
                }
            });
        });
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("the database {name} could not be dropped");
        }
    }
}

/// Ends the connections to a database, and empties it.
async fn empty(maintenance: &Url, name: &str) -> Result<(), Error> {
    let client = try_connect(maintenance.as_str()).await?;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    client.execute(end, &[&name]).await?;
    try_connect(with_path(maintenance, name).as_str()).await?.batch_execute(EMPTY).await
}

fn with_path(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

/// The maintenance database's URL.
pub fn postgres_url() -> Url {
    let url = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: run scripts/test, which starts a PostgreSQL and sets it")
    });
    url.parse().unwrap_or_else(|e| panic!("{VARIABLE} is no URL: {e}"))
}

/// A client of PostgreSQL.
pub async fn try_connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Ends with the client; what it has to report, the client's calls report.
    tokio::spawn(connection);
    Ok(client)
}

pub async fn connect(url: &str) -> Client {
    tokio::time::timeout(Duration::from_secs(10), try_connect(url))
        .await
        .expect("PostgreSQL answers in time")
        .unwrap_or_else(|e| panic!("PostgreSQL cannot be reached, run scripts/test: {e}"))
}

/// Runs SQL on PostgreSQL.
pub async fn execute(url: &str, statement: &str) {
    let client = connect(url).await;
    client.batch_execute(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
}
