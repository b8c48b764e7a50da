//! The load harness: what a message, a delivery, a connection and a page cost, each beside its
//! floor.
//!
//! `scripts/bench` builds all there is to build, starts a PostgreSQL cluster with its default
//! durability, and calls this program, which starts a server and a fresh database for each
//! scenario.
//!
//! # What is measured
//! - **CPU** is what the kernel accounted for, user and system time, all threads: `/proc/PID/stat`
//!   of the server's process; for the database that of the postmaster, of all its children, and of
//!   those it has buried. The client has a process of its own and is not counted. SQLite works
//!   inside the server, so there is one figure.
//! - **Latency** runs from the client's write to the client's read, by one monotonic clock in one
//!   process: `ack` to the one who sent, `delivery` to each of the others.
//! - **Memory** is `VmRSS` of the server.
//! - Everything runs a few times; medians are shown, and all runs are in the JSON.
//!
//! Sessions are on `/ws`, or with `--transport` on Socket.IO over a WebSocket, with the same work at
//! the same cost for the client, or on Socket.IO over long polling. The report names the transport.
//!
//! Client, server and database share the machine. On two cores throughput says as much of the
//! client as of the server; CPU a message is the figure to compare.
//!
//! # The floors
//! - The **bare peer** ([`bare`]): the same sockets, the same crate and the same frames, and
//!   nothing behind them. It has no long polling: there it is a WebSocket's, with the same packets.
//! - **Straight** ([`straight`]): the same rows, in transactions of as many rows as the server's
//!   had, straight into the database that the server left behind.
//!
//! # What is verified
//! The [`ledger`] holds every session's view against every other's while it is measured, and the
//! stored history against both afterwards. A fault is printed, and makes the exit code 1.
//!
//! Without a server to measure, the program tests itself: its peer makes up faults, which must be
//! found.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench speaks to whoever runs it")]
#![expect(clippy::indexing_slicing, reason = "a bench that is wrong may say so by a panic")]

mod bare;
mod beside;
mod churn;
mod connection;
mod database;
mod setup;
mod event;
mod frame;
mod history;
mod http;
mod ledger;
mod logins;
mod long_poll;
mod nodes;
mod options;
mod outbox;
mod process;
mod report;
mod resume;
mod self_test;
mod stats;
mod storm;
mod straight;
mod support;
mod target;
mod token;
mod traffic;
mod transport;
mod websocket;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use tokio::task::LocalSet;

use crate::database::{Database, Engine};
use crate::options::{Mode, Options, Plan, Scenario};
use crate::process::{Cluster, Process};
use crate::report::Report;
use crate::target::Target;
use crate::transport::Transport;

/// A run of the harness.
struct Bench {
    plan: Plan,
    engines: Vec<Engine>,
    program: PathBuf,
    folder: PathBuf,
    /// A broker that nobody else uses.
    rabbitmq: Option<String>,
    /// A Redis that nobody else uses.
    redis: Option<(String, Process)>,
    report: Report,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!(
                "\n!!! VERIFICATION FAILED: lost, doubled, changed or out of order. See above."
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("\nload: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if all results are correct.
fn run(options: Options) -> Result<bool> {
    match options.mode {
        Some(Mode::Bare { bind }) => {
            actix_web::rt::System::new().block_on(bare::serve(bind)).map(|()| true)
        }
        Some(Mode::Straight(order)) => in_one_thread(straight::obey(order)).map(|()| true),
        None => in_one_thread(measure(options)),
    }
}

/// One thread is enough for the client, and leaves the other core to what is measured.
fn in_one_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}

async fn measure(options: Options) -> Result<bool> {
    let plan = Plan::new(options.quick);
    let Some(program) = options.server else { return self_test::run(&options.folder).await };
    let mut engines = Vec::new();
    if let (Some(url), Some(postmaster)) = (options.postgres, options.postmaster) {
        engines.push(Engine::Postgres { url: url.into(), cluster: Cluster(Process(postmaster)) });
    }
    if options.sqlite {
        engines.push(Engine::Sqlite { folder: options.folder.clone() });
    }
    let scenarios = match options.scenarios.as_slice() {
        [] => Scenario::value_variants(),
        some => some,
    };

    let mut bench = Bench {
        plan,
        engines,
        program,
        folder: options.folder,
        rabbitmq: options.rabbitmq,
        redis: options.redis.zip(options.redis_process.map(Process)),
        report: Report::over(options.transport),
    };
    for scenario in scenarios {
        let done = match scenario {
            Scenario::Support => support::support(&mut bench).await,
            Scenario::FanOut => support::fan_out(&mut bench).await,
            Scenario::Storm => storm::storm(&mut bench).await,
            Scenario::Resume => resume::resume(&mut bench).await,
            Scenario::History => history::history(&mut bench).await,
            Scenario::Growth => support::growth(&mut bench).await,
            Scenario::Outbox => outbox::outbox(&mut bench).await,
            Scenario::Churn => churn::churn(&mut bench).await,
            Scenario::Nodes => nodes::nodes(&mut bench).await,
            Scenario::Polling => beside::polling(&mut bench).await,
            Scenario::Logins => logins::logins(&mut bench).await,
        };
        // The others are worth having all the same.
        if let Err(error) = done {
            bench.report.fail(format!("{scenario:?}: {error:#}"));
        }
    }
    if let Some(path) = &options.json {
        bench.report.write(path)?;
    }
    Ok(bench.report.is_sound())
}

impl Bench {
    /// Starts the server on a database.
    async fn server(&self, database: &Database) -> Result<Target> {
        self.server_with(database, &[]).await
    }

    /// The same, with further settings, as the environment names them.
    async fn server_with(&self, database: &Database, settings: &[(&str, &str)]) -> Result<Target> {
        Target::server(&self.program, database, &self.folder, settings, self.transport()).await
    }

    /// Starts the bare peer.
    async fn bare(&self) -> Result<Target> {
        Target::bare(&self.folder, self.transport()).await
    }

    fn transport(&self) -> Transport {
        self.report.transport
    }
}
