//! Schema migrations: one tree for each database, under the same names.

use std::collections::HashMap;

use diesel::backend::Backend as DieselBackend;
use diesel::migration::{Migration as _, MigrationSource, MigrationVersion};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::backend::Backend;
use super::{Store, StoreError};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The direction of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the newest schema.
    Up,
    /// Back by one migration.
    Down,
}

/// A migration, and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub name: String,
    pub applied: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Store {
    /// Runs migrations and returns the names of those that were run; on the way up, fills columns
    /// of old rows that only the program can compute. Of several processes that start together one
    /// runs them, and the others wait.
    ///
    /// # Errors
    /// `Setup` if a newer program has migrated the database, and this one may not run on it.
    pub async fn migrate(&self, direction: Direction) -> Result<Vec<String>, StoreError> {
        let names = self
            .with_harness(move |harness, compatible| match harness {
                Harness::Postgres(harness) => run(harness, POSTGRES, direction, compatible),
                Harness::Sqlite(harness) => run(harness, SQLITE, direction, compatible),
            })
            .await?
            .map_err(StoreError::Setup)?;
        if direction == Direction::Up {
            self.fill_search().await?;
        }
        Ok(names)
    }

    /// Every migration, the oldest first, and its state.
    pub async fn migrations(&self) -> Result<Vec<Migration>, StoreError> {
        self.with_harness(|harness, _| match harness {
            Harness::Postgres(harness) => list(harness, POSTGRES),
            Harness::Sqlite(harness) => list(harness, SQLITE),
        })
        .await
    }

    /// Checks that every migration was run.
    ///
    /// # Errors
    /// `Setup`, with the remedy, if one is missing.
    pub async fn require_migrations(&self) -> Result<(), StoreError> {
        let missing = self.migrations().await?.into_iter().find(|migration| !migration.applied);
        match missing {
            None => Ok(()),
            Some(Migration { name, .. }) => Err(StoreError::Setup(format!(
                "The database lacks the migration {name}: run `frontdesk migrate up`, or start the server."
            ))),
        }
    }

    async fn with_harness<T: Send + 'static>(
        &self,
        work: impl FnOnce(Harness<'_>, &Compatible) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.backend {
            Backend::Postgres(pool) => {
                let open = pool.server.open_for_migration().await;
                let mut connection =
                    open.map_err(|error| StoreError::Unavailable(error.to_string()))?;
                // Held until the connection is dropped. The number is arbitrary, and used for
                // nothing else.
                diesel::sql_query("SELECT pg_advisory_lock(7220191120)")
                    .execute(&mut connection)
                    .await?;
                let compatible = compatible_on_postgres(&mut connection).await?;
                // The harness blocks its thread, which must not be an actor's.
                let done = tokio::task::spawn_blocking(move || {
                    let harness = &mut AsyncMigrationHarness::new(connection);
                    work(Harness::Postgres(harness), &compatible)
                });
                done.await
                    .map_err(|error| StoreError::Internal(error.to_string()))?
                    .map_err(|error| StoreError::Internal(error.to_string()))
            }
            Backend::Sqlite(file) => {
                let done = file.write(move |connection| {
                    let compatible = compatible_on_sqlite(connection)?;
                    work(Harness::Sqlite(connection), &compatible)
                        .map_err(diesel::result::Error::QueryBuilderError)
                });
                done.await
            }
        }
    }
}

const COMPATIBLE: &str = "SELECT version, oldest FROM migration_compatibility";

/// By migration: the oldest program, by its newest migration, that may run on the schema.
type Compatible = HashMap<String, String>;

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    oldest: String,
}

/// A table's name, if the table exists.
#[derive(diesel::QueryableByName)]
struct Table {
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
    name: Option<String>,
}

async fn compatible_on_postgres(
    connection: &mut diesel_async::AsyncPgConnection,
) -> Result<Compatible, diesel::result::Error> {
    let table = "SELECT to_regclass('migration_compatibility')::TEXT AS name";
    let table: Table = diesel::sql_query(table).get_result(connection).await?;
    let rows: Vec<Row> = match table.name {
        Some(_) => diesel::sql_query(COMPATIBLE).load(connection).await?,
        None => Vec::new(),
    };
    Ok(rows.into_iter().map(|row| (row.version, row.oldest)).collect())
}

fn compatible_on_sqlite(
    connection: &mut diesel::SqliteConnection,
) -> Result<Compatible, diesel::result::Error> {
    use diesel::RunQueryDsl as Query;

    let table = "SELECT max(name) AS name FROM sqlite_master \
                 WHERE name = 'migration_compatibility'";
    let table: Table = Query::get_result(diesel::sql_query(table), connection)?;
    let rows: Vec<Row> = match table.name {
        Some(_) => Query::load(diesel::sql_query(COMPATIBLE), connection)?,
        None => Vec::new(),
    };
    Ok(rows.into_iter().map(|row| (row.version, row.oldest)).collect())
}

/// The first applied migration that a program with these `known` ones may not run after.
fn forbidding<'a>(
    applied: &'a [String],
    known: &[String],
    compatible: &Compatible,
) -> Option<&'a String> {
    let newest = known.iter().max();
    let allows = |version: &String| {
        compatible.get(version).is_some_and(|oldest| newest.is_some_and(|newest| newest >= oldest))
    };
    applied.iter().find(|version| !known.contains(version) && !allows(version))
}

enum Harness<'a> {
    Postgres(&'a mut AsyncMigrationHarness<diesel_async::AsyncPgConnection>),
    Sqlite(&'a mut diesel::SqliteConnection),
}

fn run<DB: DieselBackend>(
    harness: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
    direction: Direction,
    compatible: &Compatible,
) -> Result<Result<Vec<String>, String>, Failure>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    match direction {
        Direction::Up => {
            let known: Vec<String> = MigrationSource::<DB>::migrations(&source)?
                .iter()
                .map(|migration| migration.name().version().to_string())
                .collect();
            let applied: Vec<String> =
                harness.applied_migrations()?.iter().map(ToString::to_string).collect();
            if let Some(newer) = forbidding(&applied, &known, compatible) {
                return Ok(Err(format!(
                    "A newer version of the program has migrated the database ({newer}), and this \
                     one may not run on it: start the newer version, or take its migrations back \
                     with its `frontdesk migrate down`."
                )));
            }
            let mut names = Vec::new();
            for migration in harness.pending_migrations(source)? {
                harness.run_migration(&*migration)?;
                names.push(migration.name().to_string());
            }
            Ok(Ok(names))
        }
        Direction::Down => {
            let applied = harness.applied_migrations()?;
            let Some(newest) = applied.into_iter().max() else { return Ok(Ok(Vec::new())) };
            let migrations = MigrationSource::<DB>::migrations(&source)?;
            let Some(migration) =
                migrations.into_iter().find(|migration| migration.name().version() == newest)
            else {
                return Ok(Err(format!(
                    "Migration {newest} is of another version of the program, which alone can take \
                     it back."
                )));
            };
            harness.revert_migration(&*migration)?;
            Ok(Ok(vec![migration.name().to_string()]))
        }
    }
}

fn list<DB: DieselBackend>(
    harness: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
) -> Result<Vec<Migration>, Failure>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let applied: Vec<MigrationVersion<'static>> = harness.applied_migrations()?;
    let mut migrations: Vec<Migration> = MigrationSource::<DB>::migrations(&source)?
        .iter()
        .map(|migration| Migration {
            name: migration.name().to_string(),
            applied: applied.contains(&migration.name().version()),
        })
        .collect();
    migrations.sort_by(|a, b| a.name.cmp(&b.name));
    let known = MigrationSource::<DB>::migrations(&source)?;
    let mut newer: Vec<_> = applied
        .iter()
        .filter(|version| known.iter().all(|known| known.name().version() != **version))
        .map(|version| Migration { name: format!("{version} of a newer version"), applied: true })
        .collect();
    newer.sort_by(|a, b| a.name.cmp(&b.name));
    migrations.extend(newer);
    Ok(migrations)
}
