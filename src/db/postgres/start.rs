//! Start-up checks of a PostgreSQL server.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{ENGLISH, Server, describe};
use crate::db::StoreError;

/// The server's deadline for each check.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Number of comparisons of two connections: a pooler that hands its connections out in turn may
/// give each of two its own once, by chance.
const ROUNDS: usize = 3;

const POOLED: &str = "There is a pooler in front of the database that gives a connection away \
    between transactions: set pool_mode = session in PgBouncer, or let database.url name \
    PostgreSQL itself.";

/// Refuses an unsuitable server, and names the setting.
pub async fn check(server: &Server) -> Result<(), StoreError> {
    let (first, second) = (server.client().await?, server.client().await?);
    check_sessions(&first, &second).await?;
    let encoding = ask(&first, "SHOW server_encoding").await?;
    if encoding != "UTF8" {
        return Err(StoreError::Setup(format!(
            "The database's encoding is {encoding}, which cannot hold every text: make one with \
             CREATE DATABASE frontdesk ENCODING 'UTF8' TEMPLATE template0 (perhaps with \
             LOCALE 'C.UTF-8'), and let database.url name it."
        )));
    }
    check_schema(&first).await?;
    check_language(&first).await
}

/// Checks that the tables are in the schema that connections use. Elsewhere they would seem
/// missing, and would be created again, empty.
async fn check_schema(client: &Client) -> Result<(), StoreError> {
    const ELSEWHERE: &str = "\
        SELECT coalesce(max(nspname), '') FROM pg_class JOIN pg_namespace ON \
        pg_namespace.oid = relnamespace WHERE relname = '__diesel_schema_migrations' \
        AND nspname = ANY (current_schemas(FALSE)) AND nspname <> 'public' \
        AND to_regclass('public.__diesel_schema_migrations') IS NULL";
    match ask(client, ELSEWHERE).await?.as_str() {
        "" => Ok(()),
        schema => Err(StoreError::Setup(format!(
            "The tables are in the schema {schema}, and only those in public are used: move each \
             with ALTER TABLE {schema}.… SET SCHEMA public."
        ))),
    }
}

/// Checks that a connection here is one session there, which keeps statements, settings and locks.
async fn check_sessions(first: &Client, second: &Client) -> Result<(), StoreError> {
    const PID: &str = "SELECT pg_backend_pid()";
    let pooled = || StoreError::Setup(POOLED.to_owned());
    let known = ask(first, PID).await?;
    let mut seen = None;
    for _ in 0..ROUNDS {
        // A pooler in statement mode refuses this.
        if let Err(error) = bounded(second.batch_execute("BEGIN")).await? {
            return Err(if describe(&error).contains("pooling") { pooled() } else { lost(&error) });
        }
        let other = ask(second, PID).await?;
        // A pooler without another connection makes us wait.
        let again = ask(first, PID).await.map_err(|_| pooled())?;
        bounded(second.batch_execute("ROLLBACK")).await?.map_err(|error| lost(&error))?;
        if again != known || other == known || *seen.get_or_insert(other.clone()) != other {
            return Err(pooled());
        }
    }
    Ok(())
}

/// Checks that error texts are those that `db::error` knows, by provoking one.
async fn check_language(client: &Client) -> Result<(), StoreError> {
    // Most users may not set it; the server's own language counts then.
    bounded(client.batch_execute(ENGLISH)).await?.map_err(|error| lost(&error))?;
    let Err(error) = bounded(client.batch_execute("SELECT 1/0")).await? else { return Ok(()) };
    match error.as_db_error() {
        None => Err(lost(&error)),
        Some(said) if said.message() == "division by zero" => Ok(()),
        Some(_) => Err(StoreError::Setup(
            "The server's errors are not in English, and this user may not choose: as a superuser, \
             ALTER DATABASE … SET lc_messages = 'C'."
                .to_owned(),
        )),
    }
}

async fn ask(client: &Client, query: &str) -> Result<String, StoreError> {
    let rows = bounded(client.simple_query(query)).await?.map_err(|error| lost(&error))?;
    let value = rows.iter().find_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    value.map(str::to_owned).ok_or_else(|| StoreError::Internal(format!("{query}: no answer")))
}

async fn bounded<T>(answer: impl Future<Output = T>) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable("the server takes no second connection".to_owned());
    timeout(ANSWER_TIMEOUT, answer).await.map_err(|_| late())
}

fn lost(error: &tokio_postgres::Error) -> StoreError {
    StoreError::Unavailable(describe(error))
}
