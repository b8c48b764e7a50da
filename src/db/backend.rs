//! The two databases, and the macros that compile a query once for each.

use super::{postgres, sqlite};

/// The database in use, as the URL says.
#[derive(Clone)]
pub enum Backend {
    Postgres(postgres::Pool),
    Sqlite(sqlite::File),
}

/// `read!(store, |connection| { … Ok(value) })` runs the block on a connection that reads.
///
/// The block is compiled once per database: on PostgreSQL as a future, on SQLite as a closure on a
/// blocking thread, so it owns its values. In it, `run!(query)` waits for a query, and `dialect` is
/// the module of the queries that differ. The module that uses the macro imports diesel's traits by
/// name, except `RunQueryDsl`, of which each database has its own.
macro_rules! read {
    ($store:expr, |$connection:ident| $block:block) => {
        match &$store.backend {
            $crate::db::backend::Backend::Postgres(pool) => {
                $crate::db::backend::speak!(postgres, diesel_async);
                let mut object = pool.get().await?;
                let answer = {
                    let $connection: &mut diesel_async::AsyncPgConnection = &mut object;
                    $crate::db::postgres::bounded(async { $block }).await
                };
                $crate::db::postgres::finish(object, answer)
            }
            $crate::db::backend::Backend::Sqlite(file) => {
                $crate::db::backend::speak!(sqlite, diesel);
                file.read(move |$connection: &mut diesel::SqliteConnection| $block).await
            }
        }
    };
}

/// As `read!`, in one transaction of a connection that may write. `locked!(query)` adds row locks
/// to a query, unless the transaction is exclusive anyway.
macro_rules! transact {
    ($store:expr, |$connection:ident| $block:block) => {
        match &$store.backend {
            $crate::db::backend::Backend::Postgres(pool) => {
                $crate::db::backend::speak!(postgres, diesel_async);
                let mut object = pool.get().await?;
                let answer = {
                    let connection: &mut diesel_async::AsyncPgConnection = &mut object;
                    let work =
                        async move |$connection: &mut diesel_async::AsyncPgConnection| $block;
                    let transaction = diesel_async::AsyncConnection::transaction(connection, work);
                    $crate::db::postgres::bounded(transaction).await
                };
                $crate::db::postgres::finish(object, answer)
            }
            $crate::db::backend::Backend::Sqlite(file) => {
                $crate::db::backend::speak!(sqlite, diesel);
                file.write(move |$connection: &mut diesel::SqliteConnection| $block).await
            }
        }
    };
}

/// The macros' words for each database and its query crate.
macro_rules! speak {
    ($database:ident, $runner:ident) => {
        #[allow(unused_imports, reason = "not every block asks in its own words")]
        use $crate::db::$database::dialect;
        #[allow(unused_imports, reason = "not every block asks in diesel's words")]
        use $runner::RunQueryDsl;
        $crate::db::backend::define!($database);
    };
}

macro_rules! define {
    (postgres) => {
        macro_rules! run {
            ($query:expr) => {
                $query.await
            };
        }
        #[allow(unused_macros, reason = "few blocks lock")]
        macro_rules! locked {
            ($query:expr) => {
                $query.for_no_key_update()
            };
        }
    };
    (sqlite) => {
        macro_rules! run {
            ($query:expr) => {
                $query
            };
        }
        #[allow(unused_macros, reason = "few blocks lock")]
        macro_rules! locked {
            ($query:expr) => {
                $query
            };
        }
    };
}

pub(super) use {define, read, speak, transact};
