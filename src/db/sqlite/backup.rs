//! Backup of a SQLite file while it is in use, and its restore while it is not.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::dsl::{select, sql};
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use diesel::{QueryResult, RunQueryDsl};

use crate::db::StoreError;

/// The secret that lies beside a database file.
const SECRET: &str = ".secret";
/// The former files, after a restore.
const REPLACED: &str = ".replaced";

/// Makes a file that its owner alone may read: SQLite fills it. It must not exist.
///
/// # Errors
/// `Setup` where it cannot be made.
pub fn make_target(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| StoreError::Setup(format!("{}: {error}.", path.display())))
}

/// Copies the database as it is at this moment into an empty file. Writers go on meanwhile.
pub fn copy_into(connection: &mut SqliteConnection, path: &str) -> QueryResult<()> {
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(path).execute(connection).map(drop)
}

/// Waits until a file, and its name, are on the disk.
///
/// # Errors
/// A failure of the disk.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    File::open(folder(path))?.sync_all()
}

/// Copies the secret beside a database file beside another one, if there is one and no other.
///
/// # Errors
/// A file that cannot be read or written.
pub fn copy_secret(from: &Path, to: &Path) -> io::Result<bool> {
    let (from, to) = (beside(from, SECRET), beside(to, SECRET));
    let secret = match fs::read(&from) {
        Ok(secret) => secret,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to) {
        Ok(mut file) => {
            io::Write::write_all(&mut file, &secret)?;
            file.sync_all()?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts a backup in the place of a database file that nobody uses. A former file is kept beside it, under a
/// name that nothing has.
///
/// # Errors
/// `Setup` where the backup is damaged, the database in use, or a file cannot be written. Then the former
/// file is in its place.
pub fn restore(backup: &Path, target: &Path) -> Result<Option<PathBuf>, StoreError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        StoreError::Setup(format!("{}: {error}.", path.display()))
    };
    check_backup(backup).map_err(|problem| failed(backup, &problem))?;
    let is_there = target.try_exists().map_err(|error| failed(target, &error))?;
    // Held until the new file is in place: no server starts on the old one meanwhile.
    let held = match is_there {
        true => take_for_oneself(target).map_err(|problem| failed(target, &problem))?,
        false => None,
    };
    let former = is_there.then(|| free_name(target));
    let draft = beside(target, ".restoring");
    let put = || -> io::Result<()> {
        // Of a restore that was cut off.
        remove(&draft)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        io::copy(&mut File::open(backup)?, &mut file)?;
        file.sync_all()?;
        // The server's user must be able to open it, whoever restores.
        let like = fs::metadata(if is_there { target } else { folder(target) })?;
        std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()))?;
        if let Some(former) = &former {
            fs::rename(target, former)?;
        }
        let placed = remove(&beside(target, "-wal"))
            .and_then(|()| remove(&beside(target, "-shm")))
            .and_then(|()| fs::rename(&draft, target));
        if let (Err(_), Some(former)) = (&placed, &former) {
            // The first failure is the one to be told.
            drop(fs::rename(former, target));
        }
        placed?;
        sync(target)?;
        if copy_secret(backup, target)? {
            let secret = File::open(beside(target, SECRET))?;
            std::os::unix::fs::fchown(&secret, Some(like.uid()), Some(like.gid()))?;
        }
        Ok(())
    };
    let done = put().map_err(|error| failed(target, &error));
    if done.is_err() {
        // A draft is of no use.
        drop(remove(&draft));
    }
    drop(held);
    done.map(|()| former)
}

fn folder(path: &Path) -> &Path {
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Removes a file, if there is one.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A name beside the file that nothing has: a second restore must not cost what the first one kept.
fn free_name(path: &Path) -> PathBuf {
    let plain = beside(path, REPLACED);
    let numbered = (2..).map(|n| beside(path, &format!("{REPLACED}-{n}")));
    std::iter::once(plain.clone()).chain(numbered).find(|name| !name.exists()).unwrap_or(plain)
}

fn check_backup(path: &Path) -> Result<(), String> {
    if !path.is_file() {
        return Err("there is no such file".to_owned());
    }
    let text = path.to_str().ok_or("its name is not UTF-8")?;
    let mut connection = SqliteConnection::establish(&format!("file:{text}?mode=ro&immutable=1"))
        .map_err(|error| error.to_string())?;
    let answer: String =
        select(sql::<Text>("(SELECT integrity_check FROM pragma_integrity_check LIMIT 1)"))
            .get_result(&mut connection)
            .map_err(|_| "it is no SQLite database")?;
    if answer != "ok" {
        return Err(format!("it is damaged: {answer}"));
    }
    let is_ours = "SELECT 1 FROM __diesel_schema_migrations; SELECT 1 FROM chats";
    connection.batch_execute(is_ours).map_err(|_| "it is no backup of this program".to_owned())
}

/// Fails while anybody has the file open; empties its write-ahead log. The connection keeps others out.
/// `None` for a file that is damaged, which nobody can use.
fn take_for_oneself(path: &Path) -> Result<Option<SqliteConnection>, String> {
    let mut connection =
        SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| error.to_string())?;
    let taken = connection.batch_execute(
        "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT; PRAGMA wal_checkpoint(TRUNCATE);",
    );
    match taken {
        Ok(()) => Ok(Some(connection)),
        Err(error) if error.to_string().contains("locked") => {
            Err("it is in use: stop the server first".to_owned())
        }
        Err(error) => {
            log::warn!("{}, which is replaced: {error}", path.display());
            Ok(None)
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
