//! Messages through the server: support, group chats, and a database that has grown.

use std::rc::Rc;

use anyhow::Result;

use crate::Bench;
use crate::ledger::Verdict;
use crate::report::{BOTH, DATABASE, Figure, Measure, Section, add_floor, figures};
use crate::setup;
use crate::straight::{self, Straight};
use crate::target::Target;
use crate::traffic::{Pace, Traffic, Window};

const BUSY: Pace = Pace::EveryRoom;
pub const STEADY: Pace = Pace::InFlight(64);
const CROWD: Pace = Pace::InFlight(16);

const BUSY_TITLE: &str = "support, every chat busy";
const STEADY_TITLE: &str = "support, 64 in flight";

/// 1,000 chats of a customer and an admin, at two paces.
pub async fn support(bench: &mut Bench) -> Result<()> {
    let (bare_busy, bare_steady) = {
        let bare = bench.bare().await?;
        let traffic = setup::bare_rooms(&bare, bench.plan.chats, 2, "").await?;
        (
            traffic.measure(BUSY, &bare, &bench.plan).await?,
            traffic.measure(STEADY, &bare, &bench.plan).await?,
        )
    };
    for engine in bench.engines.clone() {
        let database = engine.fresh("support").await?;
        let server = bench.server(&database).await?;
        let traffic = setup::support(&server, bench.plan.chats).await?;
        let (busy, busy_rows) = measure(&traffic, BUSY, &server, bench).await?;
        let memory = server.resident()?;
        let (steady, steady_rows) = measure(&traffic, STEADY, &server, bench).await?;
        let verdict = verify(&traffic, &server).await?;
        drop((traffic, server));

        let straight_busy = straight::insert(&engine, &database, busy_rows, bench)?;
        let straight_steady = straight::insert(&engine, &database, steady_rows, bench)?;
        let mut section = Section {
            title: BUSY_TITLE.into(),
            database: engine.name().into(),
            beside: "floor",
            figures: per_message(&busy, &bare_busy, &straight_busy, busy_rows),
            verified: verdict.clone(),
        };
        section.figures.push(Figure::new("resident memory", "MiB", vec![memory / 1024.0]));
        bench.report.add(section);
        bench.report.add(Section {
            title: STEADY_TITLE.into(),
            database: engine.name().into(),
            beside: "floor",
            figures: per_message(&steady, &bare_steady, &straight_steady, steady_rows),
            verified: verdict,
        });
    }
    Ok(())
}

/// The same server at the steady pace, with a million messages stored, beside the empty one.
pub async fn growth(bench: &mut Bench) -> Result<()> {
    if bench.engines.iter().any(|engine| bench.report.find(STEADY_TITLE, engine.name()).is_none()) {
        support(bench).await?;
    }
    for engine in bench.engines.clone() {
        let database = engine.fresh("growth").await?;
        {
            // The server itself makes the chats; only what was said in them is made up.
            let server = bench.server(&database).await?;
            setup::support(&server, bench.plan.chats).await?;
        }
        database.grow(bench.plan.stored / bench.plan.chats).await?;
        let server = bench.server(&database).await?;
        let traffic = setup::support(&server, bench.plan.chats).await?;
        let (windows, _) = measure(&traffic, STEADY, &server, bench).await?;
        let memory = server.resident()?;
        let verified = verify(&traffic, &server).await?;

        let empty = bench.report.find(STEADY_TITLE, engine.name());
        let mut figures = figures(&MESSAGES, &windows, &[]);
        for figure in &mut figures {
            figure.floor = empty.and_then(|section| section.measured(figure.name));
        }
        figures.push(Figure::new("resident memory", "MiB", vec![memory / 1024.0]));
        let title = format!("growth, {} messages stored", bench.plan.stored);
        bench.report.add(Section {
            title,
            database: engine.name().into(),
            beside: "empty",
            figures,
            verified,
        });
    }
    Ok(())
}

/// A group chat of 100, and one of 1,000.
pub async fn fan_out(bench: &mut Bench) -> Result<()> {
    for size in bench.plan.groups {
        let floor = {
            let bare = bench.bare().await?;
            setup::bare_rooms(&bare, 1, size, "").await?.measure(CROWD, &bare, &bench.plan).await?
        };
        for engine in bench.engines.clone() {
            let database = engine.fresh(&format!("group_{size}")).await?;
            let server = bench.server(&database).await?;
            let traffic = setup::group(&server, size).await?;
            let (windows, rows) = measure(&traffic, CROWD, &server, bench).await?;
            let mut figures = figures(&DELIVERIES, &windows, &floor);
            figures.push(Figure::new("rows a transaction", "", vec![rows]));
            let verified = verify(&traffic, &server).await?;
            bench.report.add(Section {
                title: format!("fan-out, a group of {size}"),
                database: engine.name().into(),
                beside: "floor",
                figures,
                verified,
            });
        }
    }
    Ok(())
}

/// Measures, and counts the rows that the database was given a transaction.
async fn measure(
    traffic: &Rc<Traffic>,
    pace: Pace,
    server: &Target,
    bench: &Bench,
) -> Result<(Vec<Window>, f64)> {
    let before = server.batches().await?;
    let windows = traffic.measure(pace, server, &bench.plan).await?;
    let rows = match (before, server.batches().await?) {
        (Some((rows, commits)), Some((rows_after, commits_after))) if commits_after > commits => {
            (rows_after - rows) / (commits_after - commits)
        }
        _ => straight::USUAL_BATCH,
    };
    Ok((windows, rows))
}

/// Closes the ledger and holds the stored history against it.
pub async fn verify(traffic: &Traffic, server: &Target) -> Result<Verdict> {
    let mut ledger = traffic.close();
    setup::compare_history(server, &mut ledger).await?;
    Ok(ledger.verdict())
}

/// Measurements of messages.
pub const MESSAGES: [Measure<Window>; 8] = [
    ("messages", "/s", |window| window.messages / window.seconds),
    ("ack p50", "ms", |window| window.ack.p50),
    ("ack p99", "ms", |window| window.ack.p99),
    ("delivery p50", "ms", |window| window.delivery.p50),
    ("delivery p99", "ms", |window| window.delivery.p99),
    ("CPU of the server", "µs/message", |window| window.usage.server_us(window.messages)),
    (DATABASE, "µs/message", |window| window.usage.database_us(window.messages)),
    (BOTH, "µs/message", |window| {
        window.usage.server_us(window.messages) + window.usage.database_us(window.messages)
    }),
];

/// Measurements of a crowded room.
const DELIVERIES: [Measure<Window>; 6] = [
    ("deliveries", "/s", |window| window.deliveries / window.seconds),
    ("messages", "/s", |window| window.messages / window.seconds),
    ("delivery p50", "ms", |window| window.delivery.p50),
    ("delivery p99", "ms", |window| window.delivery.p99),
    ("CPU of the server", "µs/delivery", |window| window.usage.server_us(window.deliveries)),
    (DATABASE, "µs/message", |window| window.usage.database_us(window.messages)),
];

/// Messages beside the bare peer and the rows straight into the database.
fn per_message(windows: &[Window], bare: &[Window], straight: &Straight, rows: f64) -> Vec<Figure> {
    let mut figures = figures(&MESSAGES, windows, bare);
    add_floor(&mut figures, straight.database_us);
    figures.push(Figure::new("rows a transaction", "", vec![rows]).beside(straight.batch as f64));
    figures.push(Figure::floor("rows straight in", "/s", straight.per_second));
    figures
}
