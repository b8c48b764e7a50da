//! The schema's history: one tree of migrations for each database, under the same names.

use diesel::backend::Backend as DieselBackend;
use diesel::migration::{Migration as _, MigrationSource, MigrationVersion};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::backend::Backend;
use super::{Store, StoreError};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Which way to migrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the newest schema.
    Up,
    /// Back by one migration.
    Down,
}

/// A step of the schema's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub name: String,
    pub applied: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Store {
    /// Runs migrations and answers the names of those that were run; on the way up, fills what the
    /// program alone can say of rows of before. Of several processes that
    /// start together one runs them, and the others wait for it.
    pub async fn migrate(&self, direction: Direction) -> Result<Vec<String>, StoreError> {
        let names = self
            .with_harness(move |harness| match harness {
                Harness::Postgres(harness) => run(harness, POSTGRES, direction),
                Harness::Sqlite(harness) => run(harness, SQLITE, direction),
            })
            .await?;
        if direction == Direction::Up {
            self.fill_search().await?;
        }
        Ok(names)
    }

    /// Every migration, the oldest first, and whether it was applied.
    pub async fn migrations(&self) -> Result<Vec<Migration>, StoreError> {
        self.with_harness(|harness| match harness {
            Harness::Postgres(harness) => list(harness, POSTGRES),
            Harness::Sqlite(harness) => list(harness, SQLITE),
        })
        .await
    }

    async fn with_harness<T: Send + 'static>(
        &self,
        work: impl FnOnce(Harness<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.backend {
            Backend::Postgres(pool) => {
                let open = pool.server.open_for_migration().await;
                let mut connection =
                    open.map_err(|error| StoreError::Unavailable(error.to_string()))?;
                // Held until the connection is dropped. The number is any that nobody else takes.
                diesel::sql_query("SELECT pg_advisory_lock(7220191120)")
                    .execute(&mut connection)
                    .await?;
                // The harness blocks its thread, which an actor's must not.
                let done = tokio::task::spawn_blocking(move || {
                    work(Harness::Postgres(&mut AsyncMigrationHarness::new(connection)))
                });
                done.await
                    .map_err(|error| StoreError::Internal(error.to_string()))?
                    .map_err(|error| StoreError::Internal(error.to_string()))
            }
            Backend::Sqlite(file) => {
                let done = file.write(move |connection| {
                    work(Harness::Sqlite(connection))
                        .map_err(diesel::result::Error::QueryBuilderError)
                });
                done.await
            }
        }
    }
}

enum Harness<'a> {
    Postgres(&'a mut AsyncMigrationHarness<diesel_async::AsyncPgConnection>),
    Sqlite(&'a mut diesel::SqliteConnection),
}

fn run<DB: DieselBackend>(
    harness: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
    direction: Direction,
) -> Result<Vec<String>, Failure>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    match direction {
        Direction::Up => {
            let mut names = Vec::new();
            for migration in harness.pending_migrations(source)? {
                harness.run_migration(&*migration)?;
                names.push(migration.name().to_string());
            }
            Ok(names)
        }
        Direction::Down => {
            let applied = harness.applied_migrations()?;
            let Some(newest) = applied.into_iter().max() else { return Ok(Vec::new()) };
            let migrations = MigrationSource::<DB>::migrations(&source)?;
            let migration = migrations
                .into_iter()
                .find(|migration| migration.name().version() == newest)
                .ok_or_else(|| format!("migration {newest} is not one of this version"))?;
            harness.revert_migration(&*migration)?;
            Ok(vec![migration.name().to_string()])
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
    Ok(migrations)
}
