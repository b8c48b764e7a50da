//! The scenarios' vocabulary: an app with a database of its own, people with tokens, and clients
//! that speak the documented protocol.

mod app;
pub mod broker;
pub mod client;
pub mod deployment;
mod described;
mod http;
pub mod operator;
mod own_broker;
mod played_node;
mod process;
pub mod random;
pub mod raw;
pub mod redis;
pub mod service;
pub mod socketio;
pub mod steady;
pub mod tokens;

use std::future::Future;
use std::time::Duration;

pub use app::{Node, TestApp, process_settings};
pub use broker::TestBroker;
pub use client::TestClient;
pub use deployment::Draw;
pub use described::unmet;
pub use http::Reply;
pub use own_broker::OwnBroker;
pub use played_node::{Deafness, PlayedNode, hears_others, notifications};
pub use process::Process;
pub use raw::RawClient;
pub use serde_json::{Value, json};
pub use service::{Service, routes};
pub use socketio::{IoClient, Via};
pub use testkit::{Cut, Database, Proxy};
pub use tokens::{Person, admin, customer, now};

/// Fields of `welcome`.
pub const WELCOME: [&str; 8] = [
    "sessionId",
    "protocol",
    "user",
    "chats",
    "serverTime",
    "heartbeatMs",
    "tokenExpiresAt",
    "limits",
];

/// Deadline of everything that is awaited: of what hangs, not of what a busy machine makes slow.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Deadline of a whole scenario. The longest take a minute while others run.
const SCENARIO: Duration = Duration::from_secs(240);

/// Makes three tests of each scenario named: `name::sqlite`, `name::postgres`, and `name::nodes`, in
/// which each client is on a random one of three nodes. Behind the name may stand what the app is to
/// be set to: `name ["limits.replay" = 5]`; and why it is about a single node, without the third
/// test: `name on one node "restarts it"`.
macro_rules! scenarios {
    ($($name:ident $([$($key:literal = $value:expr),+])? $(on one node $why:literal)?),+ $(,)?) => {
        $(mod $name {
            $crate::support::scenario!(sqlite $name [$($($key = $value),+)?]);
            $crate::support::scenario!(postgres $name [$($($key = $value),+)?]);
            $crate::support::scenario!(nodes $name [$($($key = $value),+)?] $($why)?);
        })+
    };
}

/// As [`scenarios`], of what only PostgreSQL can show: without `name::sqlite`.
macro_rules! postgres_scenarios {
    ($($name:ident $([$($key:literal = $value:expr),+])? $(on one node $why:literal)?),+ $(,)?) => {
        $(mod $name {
            $crate::support::scenario!(postgres $name [$($($key = $value),+)?]);
            $crate::support::scenario!(nodes $name [$($($key = $value),+)?] $($why)?);
        })+
    };
}

/// As [`scenarios`], of apps on the RabbitMQ that all scenarios share, each with a prefix of its own.
/// [`TestApp::broker`] is another service's way to it.
macro_rules! bus_scenarios {
    ($($name:ident $([$($key:literal = $value:expr),+])? $(on one node $why:literal)?),+ $(,)?) => {
        $crate::support::scenarios! {
            $($name [
                "rabbitmq.url" = $crate::support::broker::url(),
                "rabbitmq.prefix" = $crate::support::broker::prefix()
                $($(, $key = $value)+)?
            ] $(on one node $why)?),+
        }
    };
}

/// As [`bus_scenarios`], of what takes several nodes: on PostgreSQL alone.
macro_rules! bus_node_scenarios {
    ($($name:ident $([$($key:literal = $value:expr),+])? $(on one node $why:literal)?),+ $(,)?) => {
        $crate::support::postgres_scenarios! {
            $($name [
                "rabbitmq.url" = $crate::support::broker::url(),
                "rabbitmq.prefix" = $crate::support::broker::prefix()
                $($(, $key = $value)+)?
            ] $(on one node $why)?),+
        }
    };
}

/// One test of one scenario: on one database, or over three nodes.
macro_rules! scenario {
    (nodes $name:ident [$($key:literal = $value:expr),*]) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn nodes() {
            for driver in $crate::support::deployment::drivers(stringify!($name)) {
                let settings: &[(&str, String)] = &[$(($key, $value.to_string())),*];
                $crate::support::run(async {
                    let app = $crate::support::TestApp::nodes(settings, driver).await;
                    super::$name(app).await;
                })
                .await;
            }
        }
    };
    (nodes $name:ident [$($key:literal = $value:expr),*] $why:literal) => {};
    ($database:ident $name:ident [$($key:literal = $value:expr),*]) => {
        // Two threads: the proxy must live on while the scenario's end waits for the server's.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $database() {
            let settings: &[(&str, String)] = &[$(($key, $value.to_string())),*];
            $crate::support::run(async {
                let app = $crate::support::TestApp::$database(settings).await;
                super::$name(app).await;
            })
            .await;
        }
    };
}

pub(crate) use {bus_node_scenarios, bus_scenarios, postgres_scenarios, scenario, scenarios};

/// Runs a scenario to its end, or fails it when it takes too long.
pub async fn run(scenario: impl Future<Output = ()>) {
    if std::env::var_os("RUST_LOG").is_some() {
        // A second call is refused, which is what is wanted: one log for the whole binary.
        let _ = env_logger::try_init();
    }
    tokio::time::timeout(SCENARIO, scenario)
        .await
        .unwrap_or_else(|_| panic!("the scenario was not through after {SCENARIO:?}"));
}

/// The results of all of these, in their order; they run concurrently, as many as the scenario has
/// named.
#[expect(clippy::disallowed_methods, reason = "how many a scenario has at once is its subject")]
pub async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(futures).await
}

/// Asks `probe` again until it gives something, for [`DEADLINE`] at most: for what no event tells of.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T {
    let asking = async {
        let mut rhythm = tokio::time::interval(Duration::from_millis(20));
        loop {
            rhythm.tick().await;
            if let Some(found) = probe().await {
                return found;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Waits until a statement waits for a lock in `database`.
pub async fn lock_awaited(database: &Database) {
    const WAITING: &str = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
        AND wait_event_type = 'Lock'";
    // Not the holder's: PostgreSQL shows a transaction the same list each time.
    let sql = database.connect().await;
    eventually("a statement waits for a lock", || async {
        (!sql.query(WAITING, &[]).await.expect("who waits").is_empty()).then_some(())
    })
    .await;
}

/// Asserts that `seqs` is the run `from`, `from` + 1 … `to`: no gap, no repeat, in order.
#[track_caller]
pub fn assert_run(seqs: &[i64], from: i64, to: i64) {
    assert_eq!(seqs, (from..=to).collect::<Vec<_>>(), "not a contiguous run {from}..={to}");
}

/// Asserts that `object` has `keys` and no others.
#[track_caller]
pub fn assert_keys(object: &Value, keys: &[&str]) {
    let mut found: Vec<_> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = keys.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "other fields than expected in {object}");
}

/// Asserts that `value` is a time as the protocol writes it: RFC 3339, UTC, milliseconds.
#[track_caller]
pub fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_default();
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "not a time: {value}");
}
