//! SQLite: one connection that writes and some that read, each used on a blocking thread.

#![expect(clippy::disallowed_types, reason = "a pool is shared; held for a push or a pop alone")]

pub mod backup;
pub mod dialect;
pub mod write;

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _, TransactionManager as _};
use diesel::sqlite::SqliteConnection;
use diesel::{ConnectionError, QueryResult};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::StoreError;
use super::pool_state::PoolState;

type Manager = <SqliteConnection as diesel::Connection>::TransactionManager;

/// A database file, and its connections.
#[derive(Clone)]
pub struct File {
    readers: Arc<Connections>,
    writer: Arc<Connections>,
}

/// Idle connections, and a bound on those in use.
struct Connections {
    path: PathBuf,
    idle: Mutex<Vec<SqliteConnection>>,
    free: Arc<Semaphore>,
    most: usize,
    acquire_timeout: Duration,
}

impl File {
    /// Opens the file; creates a missing one if `create` allows it.
    pub async fn open(
        path: PathBuf,
        readers: usize,
        acquire_timeout: Duration,
        create: bool,
    ) -> Result<Self, StoreError> {
        check(&path)?;
        if create {
            make(&path)?;
        } else if !path.exists() {
            return Err(StoreError::Setup(format!(
                "There is no database file {}: the server makes it at its first start. Use the \
                 settings and the folder that it was started with.",
                path.display()
            )));
        }
        let connections = |count| {
            Arc::new(Connections {
                path: path.clone(),
                idle: Mutex::default(),
                free: Arc::new(Semaphore::new(count)),
                most: count,
                acquire_timeout,
            })
        };
        let file = Self { readers: connections(readers.max(1)), writer: connections(1) };
        // One connection alone creates the WAL: concurrent ones find the file locked.
        file.write(|_| Ok(())).await?;
        Ok(file)
    }

    /// Waiting reads are not counted: the semaphore does not tell.
    pub fn state(&self) -> PoolState {
        let Connections { most, free, idle, .. } = &*self.readers;
        let idle = idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        PoolState { busy: most - free.available_permits(), idle, waiting: 0 }
    }

    pub fn path(&self) -> &Path {
        &self.writer.path
    }

    pub fn describe(&self) -> String {
        format!("sqlite {}", self.writer.path.display())
    }

    /// Reads, in one hop to a blocking thread.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(move |connection| Ok(work(connection)?)).await
    }

    /// Writes, in one transaction and one hop to a blocking thread.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(move |connection| Ok(connection.immediate_transaction(work)?)).await
    }
}

/// Checks that `path` can be a database file, and returns warnings about an existing one. Creates
/// nothing: a missing folder is more likely a mistyped path.
pub fn check(path: &Path) -> Result<Option<String>, StoreError> {
    let shown = path.display();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(folder) = parent.filter(|folder| !folder.is_dir()) {
        return Err(StoreError::Setup(format!(
            "The folder {} of database.url does not exist: make it, or correct the path.",
            folder.display()
        )));
    }
    match fs::metadata(path) {
        Ok(file) if !file.is_file() => Err(StoreError::Setup(format!(
            "database.url names {shown}, which is not a file: name one, as in sqlite://frontdesk.db."
        ))),
        Ok(file) if file.permissions().mode() & 0o077 != 0 => Ok(Some(format!(
            "others than its owner may read the database file {shown}: \
             chmod 600 {shown} {shown}-wal {shown}-shm"
        ))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::Setup(format!("The database file {shown}: {error}."))),
    }
}

/// Creates the file, readable by its owner alone, unless it exists: SQLite gives the files beside
/// it the same mode, and takes an empty file for an empty database.
fn make(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {
            log::info!("created the database file {}", path.display());
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Setup(format!(
            "The database file {} cannot be made: {error}.",
            path.display()
        ))),
    }
}

impl Connections {
    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let free = Arc::clone(&self.free).acquire_owned();
        let Ok(Ok(permit)) = timeout(self.acquire_timeout, free).await else {
            return Err(StoreError::Unavailable("no connection came free in time".to_owned()));
        };
        let connections = Arc::clone(self);
        // The work continues if the caller is cancelled; so the thread, not the caller, returns the
        // connection.
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connections.take()?;
            let result = work(&mut connection);
            connections.give_back(connection);
            drop(permit);
            result
        });
        // A panic loses its connection, and the next caller opens another.
        done.await.unwrap_or_else(|_| Err(StoreError::Internal("a query panicked".to_owned())))
    }

    fn take(&self) -> Result<SqliteConnection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect(&self.path.to_string_lossy()).map_err(|error| {
                StoreError::Unavailable(format!("{}: {error}", self.path.display()))
            }),
        }
    }

    /// Returns the connection, unless a transaction was left open on it.
    fn give_back(&self, mut connection: SqliteConnection) {
        let status = Manager::transaction_manager_status_mut(&mut connection);
        if matches!(status.transaction_depth(), Ok(None)) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

fn connect(path: &str) -> Result<SqliteConnection, ConnectionError> {
    let mut connection = SqliteConnection::establish(path)?;
    connection
        .batch_execute(
            // The timeout comes first: the switch to WAL itself may find the file locked.
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
        )
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}
