//! PostgreSQL: connections, their settings, and the pool for reads.

pub mod dialect;
pub mod notify;
pub mod start;
mod statements;
mod tls;
mod url;
pub mod write;

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::pooled_connection::deadpool::{Object, Pool as Objects};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::AsyncMessage;
use tokio_postgres::config::{Host, SslMode};

use super::error::is_stale;
use super::pool_state::PoolState;
use super::{Config, StoreError};

/// Every query here finds its rows by key. So no plan may use a whole table, by scan, hash or
/// merge, even if it was made while the tables were empty; and one plan serves all values of a
/// statement. A paused node must not block another's chats: locks, statements and idle transactions
/// have timeouts.
const BOUNDS: &str = "\
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_material = off; SET jit = off; SET plan_cache_mode = force_generic_plan; \
    SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '2s'; \
    SET statement_timeout = '5s'";

/// Session settings that the code relies on, whatever the server, the database or the user has.
/// Left to the operator: `synchronous_commit`, and a database that only reads. Of the timeouts,
/// those that this server knows.
const RELIED_ON: &str = "\
    SET search_path = public; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; \
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_deferrable = off; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; \
    SELECT set_config(name, '0', FALSE) FROM pg_settings \
    WHERE name IN ('idle_session_timeout', 'transaction_timeout')";

/// Errors are recognised by their English texts. Not every user may set the language.
pub const ENGLISH: &str = "\
    DO $$ BEGIN PERFORM set_config('lc_messages', 'C', FALSE); \
    EXCEPTION WHEN insufficient_privilege THEN NULL; END $$";

/// Migrations may take long, and wait for each other.
const MIGRATION_BOUNDS: &str = "SET lock_timeout = '60s'; SET statement_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0";

/// Deadline of an answer, after which its connection is dropped: longer than the server's own limit
/// on a statement, so that only the network or a paused server can miss it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);

/// A server's address and credentials.
pub struct Server {
    config: tokio_postgres::Config,
    tls: Option<tls::Connector>,
    /// True if the connection may go on without TLS.
    may_go_plain: bool,
}

impl Server {
    /// Reads a `postgres://` URL.
    pub fn parse(url: &str, ca_file: Option<&Path>) -> Result<Self, StoreError> {
        let mut config = url::parse(url, ca_file)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(10));
        }
        if config.get_application_name().is_none() {
            config.application_name("frontdesk");
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls::connector(ca_file)?),
        };
        // Naming certificates asks for verification.
        let may_go_plain = config.get_ssl_mode() == SslMode::Prefer && ca_file.is_none();
        Ok(Self { config, tls, may_go_plain })
    }

    /// Names the server without a secret.
    pub fn describe(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("postgres {host}:{port}/{database}")
    }

    /// Opens a connection for migrations.
    pub async fn open_for_migration(&self) -> ConnectionResult<AsyncPgConnection> {
        self.open_with(MIGRATION_BOUNDS).await
    }

    /// Opens a connection for everything else.
    pub async fn open(&self) -> ConnectionResult<AsyncPgConnection> {
        self.open_with(BOUNDS).await
    }

    async fn open_with(&self, bounds: &str) -> ConnectionResult<AsyncPgConnection> {
        let mut connection = match &self.tls {
            None => plain(&self.config).await?,
            Some(tls) => match self.config.connect(tls.clone()).await {
                Ok((client, connection)) => {
                    AsyncPgConnection::try_from_client_and_connection(client, connection).await?
                }
                // `prefer`: an unverified server is used without TLS.
                Err(error) if self.may_go_plain && tls::is_refusal(&error) => {
                    log::warn!("{}: no TLS: {}", self.describe(), describe(&error));
                    plain(self.config.clone().ssl_mode(SslMode::Disable)).await?
                }
                Err(error) => return Err(refused(&error)),
            },
        };
        connection
            .batch_execute(&format!("{bounds}; {RELIED_ON}; {ENGLISH}"))
            .await
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }

    /// A bare connection, without session settings.
    async fn client(&self) -> Result<tokio_postgres::Client, StoreError> {
        let (client, messages) = self.connect().await?;
        // Ends with the client; the client's calls report its errors.
        tokio::spawn(messages.for_each(|_| std::future::ready(())));
        Ok(client)
    }

    /// A bare connection, and the server's messages on it. It works while they are polled.
    async fn connect(&self) -> Result<(tokio_postgres::Client, Messages), StoreError> {
        let failed = |error: &_| StoreError::Unavailable(describe(error));
        if let Some(tls) = &self.tls {
            match self.config.connect(tls.clone()).await {
                Ok((client, connection)) => return Ok((client, messages(connection))),
                Err(error) if self.may_go_plain && tls::is_refusal(&error) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        let mut config = self.config.clone();
        let config = config.ssl_mode(SslMode::Disable);
        let (client, connection) =
            config.connect(tokio_postgres::NoTls).await.map_err(|error| failed(&error))?;
        Ok((client, messages(connection)))
    }
}

/// The server's messages on one connection.
type Messages = BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>;

fn messages<S, T>(mut connection: tokio_postgres::Connection<S, T>) -> Messages
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    stream::poll_fn(move |context| connection.poll_message(context)).boxed()
}

async fn plain(config: &tokio_postgres::Config) -> ConnectionResult<AsyncPgConnection> {
    let (client, connection) =
        config.connect(tokio_postgres::NoTls).await.map_err(|error| refused(&error))?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

fn refused(error: &tokio_postgres::Error) -> ConnectionError {
    ConnectionError::BadConnection(describe(error))
}

fn describe(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The connection pool for reads, and for the few writes that are not messages.
#[derive(Clone)]
pub struct Pool {
    pub server: Arc<Server>,
    objects: Objects<AsyncPgConnection>,
}

impl Pool {
    /// Creates the pool, without connecting.
    pub fn new(config: &Config) -> Result<Self, StoreError> {
        let server = Arc::new(Server::parse(&config.url, config.ca_file.as_deref())?);
        let mut manager = ManagerConfig::default();
        // A broken connection is recognised without a query.
        manager.recycling_method = RecyclingMethod::Fast;
        let opener = Arc::clone(&server);
        manager.custom_setup = Box::new(move |_| {
            let server = Arc::clone(&opener);
            async move { server.open().await }.boxed()
        });
        // The pool does not use the URL: the setup above connects by the parsed one.
        let manager = AsyncDieselConnectionManager::new_with_config("", manager);
        let objects = Objects::builder(manager)
            .max_size(config.pool_size.max(1))
            .wait_timeout(Some(config.acquire_timeout))
            .create_timeout(Some(config.acquire_timeout))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        Ok(Self { server, objects })
    }

    pub fn state(&self) -> PoolState {
        let status = self.objects.status();
        let idle = status.available.min(status.size);
        PoolState { busy: status.size - idle, idle, waiting: status.waiting }
    }

    /// A free connection, or a new one.
    pub async fn get(&self) -> Result<Object<AsyncPgConnection>, StoreError> {
        self.objects.get().await.map_err(|error| match error {
            deadpool::managed::PoolError::Timeout(_) => {
                StoreError::Unavailable("no connection came free in time".to_owned())
            }
            error => StoreError::Unavailable(error.to_string()),
        })
    }
}

/// Waits for an answer, up to the deadline.
pub async fn bounded<T>(
    answer: impl Future<Output = QueryResult<T>>,
) -> Result<QueryResult<T>, tokio::time::error::Elapsed> {
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await
}

/// Returns the connection, or drops it after a timeout. If it has lost its statements, as after a
/// migration, all idle ones are dropped with it.
pub fn finish<T>(
    object: Object<AsyncPgConnection>,
    answer: Result<QueryResult<T>, tokio::time::error::Elapsed>,
) -> Result<T, StoreError> {
    match answer {
        Ok(Err(error)) if is_stale(&error) => {
            log::warn!(
                "a connection is replaced (is there a pooler that is not in session mode?): {error}"
            );
            if let Some(pool) = Object::pool(&object) {
                pool.retain(|_, _| false);
            }
            drop(Object::take(object));
            Err(error.into())
        }
        Ok(result) => Ok(result?),
        Err(_) => {
            drop(Object::take(object));
            Err(StoreError::Unavailable("no answer came in time".to_owned()))
        }
    }
}
