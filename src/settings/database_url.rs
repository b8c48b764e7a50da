//! The database's URL.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};

use super::secret::MASK;

/// The database behind a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Embedded, one file.
    Sqlite,
    Postgres,
}

/// The database's URL, of a known scheme. Prints and serializes with its password masked.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl {
    text: String,
    backend: Backend,
}

impl DatabaseUrl {
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The URL with its password, for connecting.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The database's file, on SQLite.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<&Path> {
        self.text.strip_prefix(SQLITE).map(Path::new)
    }
}

const SQLITE: &str = "sqlite://";

impl TryFrom<String> for DatabaseUrl {
    type Error = String;

    // Errors never quote the URL: any part of it may be a password.
    fn try_from(text: String) -> Result<Self, String> {
        let backend = if let Some(file) = text.strip_prefix(SQLITE) {
            if file.is_empty() || file.ends_with('/') {
                return Err("an SQLite URL names a file, as in sqlite://frontdesk.db".into());
            }
            if file.starts_with(':') || file.contains(['?', '#', '\0']) {
                return Err("an SQLite URL is sqlite:// and the file's name, nothing more".into());
            }
            Backend::Sqlite
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Backend::Postgres
        } else {
            return Err("the URL must begin with sqlite:// or postgres://".into());
        };
        Ok(Self { text, backend })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backend {
            Backend::Sqlite => f.write_str(&self.text),
            Backend::Postgres => f.write_str(&masked(&self.text)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `url` without its passwords. In doubt more is masked, never less.
fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A password may itself have an unescaped `@`, `/` or `?`, so the last `@` ends it.
    let (user, address) = match rest.rsplit_once('@') {
        Some((credentials, address)) => {
            let user = credentials.split_once(':').map(|(user, _)| format!("{user}:{MASK}@"));
            (user.unwrap_or_else(|| format!("{credentials}@")), address)
        }
        None => (String::new(), rest),
    };
    let address = match address.split_once('?') {
        Some((place, query)) => {
            let pairs: Vec<_> = query.split('&').map(masked_pair).collect();
            format!("{place}?{}", pairs.join("&"))
        }
        None => address.to_owned(),
    };
    format!("{scheme}://{user}{address}")
}

fn masked_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((key, _)) if key.contains("pass") => format!("{key}={MASK}"),
        _ => pair.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_prints_without_its_password() {
        for (url, shown) in [
            ("postgres://kim:hunter2@db:5432/desk", "postgres://kim:***@db:5432/desk"),
            ("postgresql://kim:a@b/c?d@db/desk", "postgresql://kim:***@db/desk"),
            ("postgres://kim@db/desk", "postgres://kim@db/desk"),
            ("postgres://db:5432/desk", "postgres://db:5432/desk"),
            (
                "postgres://db/desk?user=kim&password=hunter2&sslmode=require",
                "postgres://db/desk?user=kim&password=***&sslmode=require",
            ),
            ("sqlite:///var/lib/desk.db", "sqlite:///var/lib/desk.db"),
        ] {
            let url = DatabaseUrl::try_from(url.to_owned()).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn the_scheme_names_the_database() {
        let url = |text: &str| DatabaseUrl::try_from(text.to_owned());
        assert_eq!(url("sqlite://a.db").unwrap().sqlite_file(), Some(Path::new("a.db")));
        assert_eq!(url("sqlite:///a.db").unwrap().sqlite_file(), Some(Path::new("/a.db")));
        assert_eq!(url("postgres://db/a").unwrap().backend(), Backend::Postgres);
        for text in ["", "a.db", "mysql://kim:hunter2@db/a", "sqlite://", "sqlite://:memory:"] {
            let error = url(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
