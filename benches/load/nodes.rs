//! Two nodes on one PostgreSQL, beside one: each customer is on the first, the admin on the second.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use crate::Bench;
use crate::database::{Database, Engine};
use crate::ledger::Verdict;
use crate::process::Process;
use crate::report::{Measure, Section, figures};
use crate::setup;
use crate::support::{MESSAGES, STEADY, verify};
use crate::target::Target;
use crate::traffic::{Pace, Window};

/// Deadline of two nodes that hear each other.
const MET: Duration = Duration::from_secs(15);

const PACES: [(&str, Pace); 3] = [
    ("500 a second", Pace::PerSecond(500)),
    ("2,000 a second", Pace::PerSecond(2_000)),
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
    OnPostgres,
    OverRedis(&'a str, Process),
}

/// Support at three paces: on one node, on two that meet on PostgreSQL, and on two over Redis.
pub async fn nodes(bench: &mut Bench) -> Result<()> {
    for engine in bench.engines.clone() {
        // SQLite is for one node.
        let Engine::Postgres { .. } = engine else { continue };
        let redis = bench.redis.clone().context("needs --redis, the URL of a Redis")?;
        let one = run(bench, &engine, "nodes_one", Nodes::One).await?;
        for (name, title, nodes) in [
            ("nodes_postgres", "two nodes on PostgreSQL", Nodes::OnPostgres),
            ("nodes_redis", "two nodes over Redis", Nodes::OverRedis(&redis.0, redis.1)),
        ] {
            let (two, verified) = run(bench, &engine, name, nodes).await?;
            for (((pace, _), two), one) in PACES.iter().zip(&two).zip(&one.0) {
                let mut rows = figures(&MESSAGES, two, one);
                rows.extend(figures(&BETWEEN, two, one));
                bench.report.add(Section {
                    title: format!("{title}, {pace}"),
                    database: engine.name().into(),
                    beside: "one node",
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
    let target = start(bench, &database, nodes).await?;
    let traffic = setup::support(&target, bench.plan.chats).await?;
    let mut windows = Vec::new();
    for (_, pace) in PACES {
        windows.push(traffic.measure(pace, &target, &bench.plan).await?);
    }
    Ok((windows, verify(&traffic, &target).await?))
}

async fn start(bench: &Bench, database: &Database, nodes: Nodes<'_>) -> Result<Target> {
    let (settings, redis) = match nodes {
        Nodes::One => return bench.server(database).await,
        Nodes::OnPostgres => (Vec::new(), None),
        Nodes::OverRedis(url, process) => (vec![("FRONTDESK__REDIS__URL", url)], Some(process)),
    };
    let start = || Target::server_with(&bench.program, database, bench.folder(), &settings);
    let target = start().await?.and(start().await?, redis);
    let began = Instant::now();
    for node in target.nodes() {
        while node.metric("peers").await? < 1.0 {
            ensure!(began.elapsed() < MET, "the nodes do not hear each other");
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(target)
}
