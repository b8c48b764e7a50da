//! Two nodes on one PostgreSQL: the customer of a chat writes on one, the admin listens on the other.
//! Beside it one node, and for the cost of the messages between them two nodes without any, where both
//! are on one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use crate::Bench;
use crate::database::{Database, Engine};
use crate::ledger::Verdict;
use crate::process::Process;
use crate::report::{Measure, Section, figures};
use crate::setup::{self, Spread};
use crate::support::{MESSAGES, STEADY, verify};
use crate::target::Target;
use crate::traffic::{Pace, Window};

/// Nobody listens on the discard port of this machine.
const NOWHERE: &str = "redis://127.0.0.1:9";
/// Deadline of two nodes that hear each other.
const MET: Duration = Duration::from_secs(15);

/// The last two are near full load: in the first CPU counts for as many messages, in as large
/// transactions.
const PACES: [(&str, Pace); 4] = [
    ("500 a second", Pace::PerSecond(500)),
    ("2,000 a second", Pace::PerSecond(2_000)),
    ("8,000 a second", Pace::PerSecond(8_000)),
    ("64 in flight", STEADY),
];

const BETWEEN: [Measure<Window>; 3] = [
    ("delivery after the ack p50", "ms", |window| window.behind.p50),
    ("delivery after the ack p99", "ms", |window| window.behind.p99),
    ("CPU of Redis", "µs/message", |window| window.usage.redis_us(window.messages)),
];

/// The nodes of a run.
enum Nodes<'a> {
    One,
    /// Two that cannot reach each other; each chat is on one of them.
    Apart,
    OnPostgres,
    OverRedis(&'a str, Process),
}

/// Support at three paces: on one node, on two apart, on two that meet on PostgreSQL, and on two over
/// Redis.
pub async fn nodes(bench: &mut Bench) -> Result<()> {
    for engine in bench.engines.clone() {
        // SQLite is for one node.
        let Engine::Postgres { .. } = engine else { continue };
        let redis = bench.redis.clone().context("needs --redis, the URL of a Redis")?;
        let (one, _) = run(bench, &engine, "nodes_one", Nodes::One).await?;
        let (apart, _) = run(bench, &engine, "nodes_apart", Nodes::Apart).await?;
        for (name, title, nodes) in [
            ("nodes_postgres", "two nodes on PostgreSQL", Nodes::OnPostgres),
            ("nodes_redis", "two nodes over Redis", Nodes::OverRedis(&redis.0, redis.1)),
        ] {
            let (two, verified) = run(bench, &engine, name, nodes).await?;
            for (at, ((pace, kind), two)) in PACES.iter().zip(&two).enumerate() {
                let (beside, other) = match kind {
                    Pace::PerSecond(..=2_000) => ("one node", &one[at]),
                    _ => ("apart", &apart[at]),
                };
                let mut rows = figures(&MESSAGES, two, other);
                rows.extend(figures(&BETWEEN, two, other));
                bench.report.add(Section {
                    title: format!("{title}, {pace}"),
                    database: engine.name().into(),
                    beside,
                    figures: rows,
                    verified: verified.clone(),
                });
            }
        }
    }
    Ok(())
}

/// The windows of each pace.
async fn run(
    bench: &Bench,
    engine: &Engine,
    name: &str,
    nodes: Nodes<'_>,
) -> Result<(Vec<Vec<Window>>, Verdict)> {
    let database = engine.fresh(name).await?;
    let spread = match nodes {
        Nodes::One => Spread::First,
        Nodes::Apart => Spread::ByChat,
        Nodes::OnPostgres | Nodes::OverRedis(..) => Spread::Crossed,
    };
    let target = start(bench, &database, nodes).await?;
    let traffic = setup::questions(&target, bench.plan.chats, spread).await?;
    let mut windows = Vec::new();
    for (_, pace) in PACES {
        windows.push(traffic.measure(pace, &target, &bench.plan).await?);
    }
    Ok((windows, verify(&traffic, &target).await?))
}

async fn start(bench: &Bench, database: &Database, nodes: Nodes<'_>) -> Result<Target> {
    let (settings, redis) = match nodes {
        Nodes::One => return bench.server(database).await,
        Nodes::Apart => (vec![("FRONTDESK__REDIS__URL", NOWHERE)], None),
        Nodes::OnPostgres => (Vec::new(), None),
        Nodes::OverRedis(url, process) => (vec![("FRONTDESK__REDIS__URL", url)], Some(process)),
    };
    let start = || bench.server_with(database, &settings);
    let (target, is_apart) = (
        start().await?.and(start().await?, redis),
        settings.contains(&("FRONTDESK__REDIS__URL", NOWHERE)),
    );
    if is_apart {
        return Ok(target);
    }
    let began = Instant::now();
    for node in target.nodes() {
        while node.metric("peers").await? < 1.0 {
            ensure!(began.elapsed() < MET, "the nodes do not hear each other");
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(target)
}
