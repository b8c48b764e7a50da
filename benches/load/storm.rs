//! Everybody connects at once: what a connection costs to make, and what it holds while it is idle.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use crate::Bench;
use crate::ledger::Verdict;
use crate::report::{DATABASE, Measure, Section, figures};
use crate::setup;
use crate::target::Target;
use crate::transport::Visit;

/// Until a server has noticed who left, and its memory is what it keeps.
const SETTLE: Duration = Duration::from_secs(1);

/// One storm.
struct Storm {
    per_second: f64,
    server_us: f64,
    database_us: f64,
    /// KiB a connection, once it is idle.
    memory: f64,
}

const MEASURES: [Measure<Storm>; 3] = [
    ("connections", "/s", |storm| storm.per_second),
    ("CPU of the server", "µs/connection", |storm| storm.server_us),
    (DATABASE, "µs/connection", |storm| storm.database_us),
];

/// Of the first storm alone, since later ones find memory that was used before.
const MEMORY: [Measure<Storm>; 1] =
    [("resident memory, idle", "KiB/connection", |storm| storm.memory)];

/// New users, and the same ones again.
pub async fn storm(bench: &mut Bench) -> Result<()> {
    let (bare, _) = storms(&bench.bare().await?, bench).await?;
    for engine in bench.engines.clone() {
        let database = engine.fresh("storm").await?;
        let (new, known) = storms(&bench.server(&database).await?, bench).await?;
        let mut figures_of_new = figures(&MEASURES, &new, &bare);
        figures_of_new.extend(figures(&MEMORY, &new[..1], &bare[..1]));
        let figures_of_known = figures(&MEASURES, &known, &bare);
        for (title, figures) in
            [("storm, new users", figures_of_new), ("storm, known users", figures_of_known)]
        {
            bench.report.add(Section {
                title: title.into(),
                database: engine.name().into(),
                beside: "floor",
                figures,
                verified: Verdict::of(0, Vec::new()),
            });
        }
    }
    Ok(())
}

/// Storms of new users, and of the same ones again.
async fn storms(target: &Target, bench: &Bench) -> Result<(Vec<Storm>, Vec<Storm>)> {
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for run in 0..bench.plan.runs {
        let visits = setup::customers(&format!("storm-{run}"), bench.plan.connections);
        new.push(rage(target, &visits).await?);
        known.push(rage(target, &visits).await?);
    }
    Ok((new, known))
}

/// All connect, stay for a moment, and go.
async fn rage(target: &Target, visits: &[Visit]) -> Result<Storm> {
    let count = visits.len() as f64;
    let (memory, before, start) = (target.resident()?, target.usage()?, Instant::now());
    let sessions = setup::connect_all(target.door, visits).await?;
    let (usage, seconds) = (target.usage()? - before, start.elapsed().as_secs_f64());
    sleep(SETTLE).await;
    let memory = (target.resident()? - memory) / count;
    drop(sessions);
    sleep(SETTLE).await;
    Ok(Storm {
        per_second: count / seconds,
        server_us: usage.server_us(count),
        database_us: usage.database_us(count),
        memory,
    })
}
