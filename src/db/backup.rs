//! Backup and restore: of SQLite by the program itself, of PostgreSQL by its own tools.

use std::path::{Path, PathBuf};

use super::backend::Backend;
use super::config::Config;
use super::sqlite::backup;
use super::store::sqlite_file;
use super::{Store, StoreError};

const POSTGRES: &str =
    "PostgreSQL is backed up with its own tools, as pg_dump: see docs/BACKUP.md.";

impl Store {
    /// Writes a consistent copy of the database into a new file, and the secret beside it. Whoever writes
    /// goes on meanwhile. `true` if there was a secret.
    ///
    /// # Errors
    /// `Setup` on PostgreSQL, and where the file cannot be made.
    pub async fn backup(&self, to: &Path) -> Result<bool, StoreError> {
        let Backend::Sqlite(file) = &self.backend else {
            return Err(StoreError::Setup(POSTGRES.to_owned()));
        };
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Setup(format!("{}: {error}.", to.display()))
        };
        let path = to.to_str().ok_or_else(|| failed(&"its name is not UTF-8"))?.to_owned();
        backup::make_target(to)?;
        let copied = file.read(move |connection| backup::copy_into(connection, &path)).await;
        let kept = copied.and_then(|()| {
            backup::sync(to).map_err(|error| failed(&error))?;
            backup::copy_secret(file.path(), to).map_err(|error| failed(&error))
        });
        if kept.is_err() {
            // Half a backup is none.
            drop(std::fs::remove_file(to));
        }
        kept
    }
}

/// Puts a backup in the place of the database, which nobody may use. Returns where the former one is kept.
///
/// # Errors
/// `Setup` on PostgreSQL, for a damaged backup, and for a database that is in use.
pub fn restore(config: &Config, from: &Path) -> Result<Option<PathBuf>, StoreError> {
    match sqlite_file(config)? {
        Some(target) => backup::restore(from, Path::new(target)),
        None => Err(StoreError::Setup(POSTGRES.to_owned())),
    }
}
