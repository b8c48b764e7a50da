//! Users come and go, half of them without a word: memory that stays behind.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::Bench;
use crate::ledger::Verdict;
use crate::report::{Figure, Section};
use crate::setup;
use crate::target::Target;
use crate::transport::Visit;

/// Connects of a round.
const ROUND: usize = 10_000;
/// Sessions at once.
const TOGETHER: usize = 500;
/// Rounds after the one that warms up.
const ROUNDS: usize = 3;
/// Deadline of the server's noticing that all have gone, and of the end of what is kept for them.
const GONE: Duration = Duration::from_secs(60);
/// A user stays online, and a room stays empty, for 5 s.
const SETTLE: Duration = Duration::from_secs(12);

/// Memory after each round of connects, beside the first round's.
pub async fn churn(bench: &mut Bench) -> Result<()> {
    for engine in bench.engines.clone() {
        let database = engine.fresh("churn").await?;
        let server = bench.server(&database).await?;
        let visits = setup::customers("churn", ROUND);
        let first = round(&server, &visits).await?;
        let mut later = Vec::new();
        for _ in 0..ROUNDS {
            later.push(round(&server, &visits).await?);
        }
        let growth = later.iter().fold(0.0_f64, |most, memory| most.max(memory / first - 1.0));
        let mib = later.iter().map(|memory| memory / 1024.0).collect();
        bench.report.add(Section {
            title: "churn, 10,000 connects a round, half of them end rudely".into(),
            database: engine.name().into(),
            beside: "round 1",
            figures: vec![
                Figure::new("resident memory, three rounds", "MiB", mib).beside(first / 1024.0),
                Figure::new("largest growth", "%", vec![growth * 100.0]),
            ],
            verified: Verdict::of(0, Vec::new()),
        });
    }
    Ok(())
}

/// All connect once, some at a time. Returns the memory afterwards, in KiB.
async fn round(server: &Target, visits: &[Visit]) -> Result<f64> {
    for visits in visits.chunks(TOGETHER) {
        let sessions = setup::connect_all(server.door, visits).await?;
        for (at, session) in sessions.into_iter().enumerate() {
            match at % 2 {
                0 => session.connection.close().await?,
                _ => session.connection.reset()?,
            }
        }
    }
    let began = Instant::now();
    while server.metric("sessions").await? > 0.0 {
        ensure!(began.elapsed() < GONE, "sessions are left over");
        sleep(Duration::from_millis(100)).await;
    }
    sleep(SETTLE).await;
    server.resident()
}
