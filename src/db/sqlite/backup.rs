//! Backup of a SQLite file while it is in use, and its restore while it is not.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
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
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
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

/// Puts a backup in the place of a database file that nobody uses. A former file is kept beside it.
///
/// # Errors
/// `Setup` where the backup is damaged, the database in use, or a file cannot be written.
pub fn restore(backup: &Path, target: &Path) -> Result<Option<PathBuf>, StoreError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        StoreError::Setup(format!("{}: {error}.", path.display()))
    };
    check_backup(backup).map_err(|problem| failed(backup, &problem))?;
    let former = match target.try_exists() {
        Ok(false) => None,
        Ok(true) => {
            take_for_oneself(target).map_err(|problem| failed(target, &problem))?;
            Some(beside(target, REPLACED))
        }
        Err(error) => return Err(failed(target, &error)),
    };
    let draft = beside(target, ".restoring");
    let copied = make_target(&draft).and_then(|()| {
        let work = || -> io::Result<()> {
            fs::copy(backup, &draft)?;
            sync(&draft)?;
            if let Some(former) = &former {
                fs::rename(target, former)?;
            }
            // They belong to the former file; whoever took it for themselves has emptied them.
            for part in ["-wal", "-shm"] {
                match fs::remove_file(beside(target, part)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&draft, target)?;
            sync(target)?;
            copy_secret(backup, target).map(drop)
        };
        work().map_err(|error| failed(target, &error))
    });
    if copied.is_err() {
        // What is there of it is of no use.
        drop(fs::remove_file(&draft));
    }
    copied.map(|()| former)
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

/// Fails while anybody has the file open; empties its write-ahead log.
fn take_for_oneself(path: &Path) -> Result<(), String> {
    let in_use = "it is in use: stop the server first";
    let mut connection =
        SqliteConnection::establish(&path.to_string_lossy()).map_err(|error| error.to_string())?;
    connection
        .batch_execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")
        .map_err(|_| in_use.to_owned())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
