//! The storage contract: what the rest of the system relies on, run on both databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is wrong says so by a panic"
)]

mod admission;
mod changes;
mod chats;
mod fixture;
mod inbox;
mod messages;
mod migrations;
mod outbox;
mod outages;
mod plans;
mod pooler;
mod settings;
mod sinks;
mod urls;

/// Runs each test on a database of its own, once under PostgreSQL and once under SQLite.
macro_rules! contract {
    ($($test:ident),+ $(,)?) => {
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::fixture::Fixture::postgres().await).await;
                }
            )+
        }
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::fixture::Fixture::sqlite().await).await;
                }
            )+
        }
    };
}

use contract;
