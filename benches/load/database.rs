//! Databases to measure on: a fresh one for each scenario, and rows that nobody had to say.

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use testkit::database::try_connect;
use tokio_postgres::Client;

use crate::process::Cluster;

/// Text of the stored messages: 80 bytes, as in the sent ones.
pub const BODY: &str =
    "this was said long before anybody measured anything, and is of the usual length.";

/// Engine of the databases.
#[derive(Clone)]
pub enum Engine {
    /// A cluster of our own, by a superuser's URL.
    Postgres { url: Rc<str>, cluster: Cluster },
    /// Files in this folder.
    Sqlite { folder: PathBuf },
}

/// One database.
pub enum Database {
    Postgres { url: String, cluster: Cluster },
    Sqlite { file: PathBuf },
}

impl Engine {
    /// As the report names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "postgres",
            Self::Sqlite { .. } => "sqlite",
        }
    }

    /// An empty database.
    pub async fn fresh(&self, name: &str) -> Result<Database> {
        match self {
            Self::Postgres { url, cluster } => {
                let (base, _) =
                    url.rsplit_once('/').context("a PostgreSQL URL ends in a database's name")?;
                connect(url).await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
                Ok(Database::Postgres { url: format!("{base}/{name}"), cluster: *cluster })
            }
            Self::Sqlite { folder } => {
                Ok(Database::Sqlite { file: folder.join(format!("{name}.db")) })
            }
        }
    }
}

impl Database {
    /// As `database.url` has it.
    pub fn url(&self) -> String {
        match self {
            Self::Postgres { url, .. } => url.clone(),
            Self::Sqlite { file } => format!("sqlite://{}", file.display()),
        }
    }

    /// The processes to be measured with the server's.
    pub fn cluster(&self) -> Option<Cluster> {
        match self {
            Self::Postgres { cluster, .. } => Some(*cluster),
            Self::Sqlite { .. } => None,
        }
    }

    /// Adds so many messages to each chat, behind a server that is not running.
    pub async fn grow(&self, messages: usize) -> Result<()> {
        match self {
            Self::Postgres { url, .. } => {
                let client = connect(url).await?;
                client.batch_execute(&grown(messages, "now()")).await?;
                // What the cluster would do by itself a minute later must not fall into a
                // measurement.
                client.batch_execute("VACUUM ANALYZE").await?;
                client.batch_execute("CHECKPOINT").await?;
            }
            Self::Sqlite { file } => {
                let mut connection = SqliteConnection::establish(&file.to_string_lossy())?;
                connection.batch_execute(&grown(messages, "unixepoch() * 1000000"))?;
            }
        }
        Ok(())
    }
}

/// As if all customers had talked at the same time: their messages lie between each other's. What
/// is at `seq` is told by its `client_id`: `g1`, `g2` …
fn grown(messages: usize, now: &str) -> String {
    format!(
        "BEGIN;
         WITH RECURSIVE numbers(number) AS
             (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {messages})
         INSERT INTO messages (chat_id, seq, author_id, body, client_id, created_at)
         SELECT id, last_seq + number, customer_id, '{BODY}', 'g' || (last_seq + number), {now}
         FROM numbers CROSS JOIN chats WHERE chats.kind = 'support' ORDER BY number, id;
         UPDATE chats SET last_seq = last_seq + {messages} WHERE kind = 'support';
         COMMIT;"
    )
}

/// A client of PostgreSQL.
pub async fn connect(url: &str) -> Result<Client> {
    try_connect(url).await.context("cannot connect to PostgreSQL")
}
