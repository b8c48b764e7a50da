//! Generated key of a deployment: made once, and kept beside its database.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::AuthError;
use crate::settings::{Secret, Settings};

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// The secret that signs tokens: the configured one, or on SQLite, without any configured key, that
/// of `<database file>.secret`, generated if the file is missing. `None` if a public key is
/// configured.
///
/// # Errors
/// No key on PostgreSQL; a secret file that cannot be read or created, or that others can read.
pub fn signing_secret(settings: &Settings) -> Result<Option<Secret>, AuthError> {
    find(settings, load_or_create)
}

/// The same, without generating one: a secret that the server does not have signs nothing.
///
/// # Errors
/// The same, and a missing secret file.
pub fn existing_secret(settings: &Settings) -> Result<Option<Secret>, AuthError> {
    find(settings, |path| match File::open(path) {
        Ok(file) => load(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(AuthError::NoSecretFile { path: path.to_owned() })
        }
        Err(error) => Err(AuthError::SecretFile { path: path.to_owned(), error }),
    })
}

fn find(
    settings: &Settings,
    in_file: impl FnOnce(&Path) -> Result<Secret, AuthError>,
) -> Result<Option<Secret>, AuthError> {
    settings.require_key()?;
    let auth = &settings.auth;
    match settings.database.url.sqlite_file() {
        Some(file) if auth.secret.is_none() && !auth.has_foreign_keys() => {
            in_file(&secret_file(file)).map(Some)
        }
        _ => Ok(auth.secret.clone()),
    }
}

/// Path of the secret beside a database file.
fn secret_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".secret");
    name.into()
}

/// Reads the secret in `path`, or generates one that its owner alone can read. Of several
/// concurrent processes, one generates it and all get the same.
///
/// # Errors
/// A file that cannot be read or created, that is empty, or that others can read.
pub fn load_or_create(path: &Path) -> Result<Secret, AuthError> {
    let failed = |error| AuthError::SecretFile { path: path.to_owned(), error };
    match File::open(path) {
        Ok(file) => return load(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let secret = random_hex::<SECRET_BYTES>()?;
    match publish(path, &secret) {
        Ok(()) => {
            log::info!("generated a signing secret in {}", path.display());
            Ok(Secret::from(secret))
        }
        // Another process was first, so its secret counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            load(path, File::open(path).map_err(failed)?)
        }
        Err(error) => Err(failed(error)),
    }
}

fn load(path: &Path, mut file: File) -> Result<Secret, AuthError> {
    let failed = |error| AuthError::SecretFile { path: path.to_owned(), error };
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(AuthError::Exposed { path: path.to_owned() });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    match text.trim() {
        "" => Err(AuthError::NoSecret { path: path.to_owned() }),
        secret => Ok(Secret::from(secret.to_owned())),
    }
}

/// Writes the secret to a temporary file and links it to `path`, which fails if that exists: nobody
/// ever reads half a secret, even after a crash.
fn publish(path: &Path, secret: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", random_hex::<8>().map_err(io::Error::other)?));
    let draft = PathBuf::from(draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let published = writeln!(file, "{secret}")
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    published.and(removed)
}

/// Random bytes, in hexadecimal digits.
pub(super) fn random_hex<const N: usize>() -> Result<String, AuthError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthError::Crypto)?;
    Ok(bytes.iter().fold(String::with_capacity(2 * N), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.db.secret");
        let made = load_or_create(&path).unwrap();
        assert_eq!(made.expose().len(), 2 * SECRET_BYTES);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).unwrap(), made);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn all_who_start_at_once_have_the_same_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.db.secret");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| load_or_create(&path))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.db.secret");
        load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.db.secret");
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        assert!(matches!(load_or_create(&path), Err(AuthError::NoSecret { .. })));
    }

    #[test]
    fn the_secret_lies_beside_its_database() {
        assert_eq!(secret_file(Path::new("/a/desk.db")), Path::new("/a/desk.db.secret"));
    }
}
