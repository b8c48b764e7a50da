//! The floor under the database: the same rows and the same pages with nobody in between.
//!
//! A child process, so that the work of an embedded database can be told from the harness's own. It
//! works on the database that a server left behind: the same tables, the same sizes, the same
//! settings.

use std::process::{self, Command};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::Bench;
use crate::database::{Database, Engine};
use crate::process::{Cluster, Process};
use crate::stats::median;

mod postgres;
mod sqlite;

/// Rows a transaction where nobody counted the server's.
pub const USUAL_BATCH: f64 = 32.0;

/// Rows to be written; seconds of work on any machine.
const ROWS: usize = 60_000;

/// Pages to be read.
const PAGES: usize = 4_000;

/// Instructions for the child.
#[derive(Args)]
pub struct Order {
    task: Task,
    #[arg(long)]
    url: String,
    /// Rows to write, or pages to read.
    #[arg(long)]
    count: usize,
    /// Rows a transaction, or rows a page.
    #[arg(long)]
    batch: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    Insert,
    Pages,
}

/// The child's report.
#[derive(Serialize, Deserialize)]
struct Done {
    seconds: f64,
    own_cpu: f64,
}

/// Cost of a row or a page.
pub struct Straight {
    /// Rows a transaction, or rows a page.
    pub batch: usize,
    pub per_second: f64,
    /// CPU of the database, in µs; of the whole child where it is embedded.
    pub database_us: f64,
}

/// A row that is to be written.
struct Row {
    chat: i64,
    seq: i64,
    author: i64,
    client_id: String,
}

/// A chat that rows go to.
struct Chat {
    id: i64,
    customer: i64,
    last_seq: i64,
}

/// Writes rows into the chats of a database, so many a transaction.
pub fn insert(engine: &Engine, database: &Database, rows: f64, bench: &Bench) -> Result<Straight> {
    // No more than there are chats for one connection: a transaction then has a row for each at
    // most.
    let batch = (rows.round() as usize).clamp(1, bench.plan.chats / 2);
    order(engine, database, Task::Insert, ROWS, batch, bench.plan.runs)
}

/// Reads a chat's history, page by page from the end.
pub fn pages(engine: &Engine, database: &Database, size: usize, runs: usize) -> Result<Straight> {
    order(engine, database, Task::Pages, PAGES, size, runs)
}

/// Has the task done a few times; medians.
fn order(
    engine: &Engine,
    database: &Database,
    task: Task,
    count: usize,
    batch: usize,
    runs: usize,
) -> Result<Straight> {
    let cluster = database.cluster();
    let (mut per_second, mut database_us) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let before = cluster.map(Cluster::cpu).transpose()?;
        let output = Command::new(std::env::current_exe()?)
            .arg("straight")
            .arg(task.to_possible_value().context("a task without a name")?.get_name())
            .args(["--url", &database.url()])
            .args(["--count", &count.to_string(), "--batch", &batch.to_string()])
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "straight into {}: {said}", engine.name());
        let done: Done = serde_json::from_slice(&output.stdout)?;
        let cpu = match (cluster, before) {
            (Some(cluster), Some(before)) => (cluster.cpu()? - before).as_secs_f64(),
            _ => done.own_cpu,
        };
        per_second.push(count as f64 / done.seconds);
        database_us.push(cpu * 1e6 / count as f64);
    }
    Ok(Straight { batch, per_second: median(&per_second), database_us: median(&database_us) })
}

/// Does what the parent ordered, and prints how long it took.
pub async fn obey(order: Order) -> Result<()> {
    let start = Instant::now();
    let Order { task, url, count, batch } = order;
    match (task, url.split_once("://").map(|(scheme, _)| scheme)) {
        (Task::Insert, Some("postgres")) => postgres::insert(&url, count, batch).await,
        (Task::Pages, Some("postgres")) => postgres::pages(&url, count, batch).await,
        (Task::Insert, Some("sqlite")) => sqlite::insert(&url, count, batch),
        (Task::Pages, Some("sqlite")) => sqlite::pages(&url, count, batch),
        _ => bail!("a database that nobody knows"),
    }?;
    let own_cpu = Process(process::id()).cpu()?.as_secs_f64();
    println!(
        "{}",
        serde_json::to_string(&Done { seconds: start.elapsed().as_secs_f64(), own_cpu })?
    );
    Ok(())
}

/// The rows of the next transaction: the chats take turns, and each one's `seq` goes on.
fn next_rows(chats: &mut [Chat], turn: &mut usize, count: usize) -> Vec<Row> {
    let total = chats.len();
    (0..count)
        .map(|_| {
            let chat = &mut chats[*turn];
            *turn = (*turn + 1) % total;
            chat.last_seq += 1;
            Row {
                chat: chat.id,
                seq: chat.last_seq,
                author: chat.customer,
                client_id: format!("s{}", chat.last_seq),
            }
        })
        .collect()
}
