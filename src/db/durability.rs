//! Durability of the database, and its clock.

use diesel::dsl::{select, sql};
use diesel::sql_types::{Integer, Text};

use super::backend::{Backend, read};
use super::{Store, StoreError};
use crate::domain::Timestamp;

/// Settings of PostgreSQL that lose acknowledged messages when its machine fails, and their remedy.
const POSTGRES: [(&str, &str); 3] = [
    ("fsync", "what is committed may never reach the disk: set fsync = on in postgresql.conf"),
    ("full_page_writes", "a crash may tear pages: set full_page_writes = on in postgresql.conf"),
    (
        "synchronous_commit",
        "a commit does not wait for the disk: ALTER DATABASE … SET synchronous_commit = on",
    ),
];
/// `PRAGMA synchronous`, by its number: FULL, and EXTRA above it.
const FULL: i32 = 2;

impl Store {
    /// The database's settings that are weaker than what an ack promises, a sentence each.
    pub async fn weaknesses(&self) -> Result<Vec<String>, StoreError> {
        let mut weak = Vec::new();
        match &self.backend {
            Backend::Postgres(_) => {
                for (name, remedy) in POSTGRES {
                    let query = format!("current_setting('{name}')");
                    let value: String = read!(self, |connection| {
                        run!(select(sql::<Text>(&query)).get_result(connection))
                    })?;
                    if value == "off" {
                        weak.push(format!("{name} is off: {remedy}"));
                    }
                }
            }
            Backend::Sqlite(_) => {
                let (synchronous, journal): (i32, String) = read!(self, |connection| {
                    let synchronous =
                        sql::<Integer>("(SELECT synchronous FROM pragma_synchronous)");
                    let journal = sql::<Text>("(SELECT journal_mode FROM pragma_journal_mode)");
                    run!(select((synchronous, journal)).get_result(connection))
                })?;
                if synchronous < FULL {
                    weak.push("PRAGMA synchronous is below FULL".to_owned());
                }
                if !journal.eq_ignore_ascii_case("wal") {
                    weak.push(format!(
                        "the journal is {journal} and not WAL: is the file on a network's file system?"
                    ));
                }
            }
        }
        Ok(weak)
    }

    /// The database's time.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        read!(self, |connection| { run!(dialect::now(connection)) })
    }
}
