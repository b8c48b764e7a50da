//! Pages of a long chat's history: the first one, and all of them down to the deepest.

use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;

use crate::Bench;
use crate::event::{self, Page};
use crate::http::Http;
use crate::ledger::Verdict;
use crate::report::{BOTH, DATABASE, Measure, Section, add_floor, figures};
use crate::setup;
use crate::stats::percentile;
use crate::straight;
use crate::target::Target;
use crate::token;
use crate::transport::Visit;

/// Messages a page.
const LIMIT: usize = 50;

/// Concurrent readers, each over a connection of its own.
const READERS: usize = 4;

/// Pages of all readers in one run.
struct Reading {
    per_second: f64,
    p50: f64,
    p99: f64,
    server_us: f64,
    database_us: f64,
    verdict: Verdict,
}

const MEASURES: [Measure<Reading>; 6] = [
    ("pages", "/s", |reading| reading.per_second),
    ("page p50", "ms", |reading| reading.p50),
    ("page p99", "ms", |reading| reading.p99),
    ("CPU of the server", "µs/page", |reading| reading.server_us),
    (DATABASE, "µs/page", |reading| reading.database_us),
    (BOTH, "µs/page", |reading| reading.server_us + reading.database_us),
];

/// A reader's way through the pages.
#[derive(Clone)]
enum Way {
    /// This page again and again.
    Stay(String),
    /// From this page down, as `next` leads; its first message is the one with this `seq`.
    Deeper(String, i64),
}

/// 100,000 messages, 50 a page.
pub async fn history(bench: &mut Bench) -> Result<()> {
    let total = bench.plan.history;
    let pages = total / LIMIT;
    let mut bare = Vec::new();
    {
        let peer = bench.bare().await?;
        for _ in 0..bench.plan.runs {
            bare.push(read(&peer, |_| Way::Stay("/page".into()), pages).await?);
        }
    }
    for engine in bench.engines.clone() {
        let database = engine.fresh("history").await?;
        let chat = {
            let server = bench.server(&database).await?;
            let customer =
                setup::connect(server.door, &Visit::of(token::customer("talker"))).await?;
            customer.chats.first().context("a customer without a chat")?.id
        };
        database.grow(total).await?;
        let server = bench.server(&database).await?;
        let first = |_| Way::Stay(format!("/chats/{chat}/messages?limit={LIMIT}"));
        // Each reader's share ends where the next one's begins: together they see each message
        // once.
        let deep = |reader| {
            let seq = (reader + 1) * total / READERS;
            Way::Deeper(
                format!("/chats/{chat}/messages?limit={LIMIT}&beforeSeq={}", seq + 1),
                seq as i64,
            )
        };
        let (mut firsts, mut deeps) = (Vec::new(), Vec::new());
        for _ in 0..bench.plan.runs {
            firsts.push(read(&server, first, pages).await?);
            deeps.push(read(&server, deep, pages).await?);
        }
        drop(server);
        let straight = straight::pages(&engine, &database, LIMIT, bench.plan.runs)?;
        for (title, readings) in
            [("history, first page", firsts), ("history, down to the deepest page", deeps)]
        {
            let mut figures = figures(&MEASURES, &readings, &bare);
            add_floor(&mut figures, straight.database_us);
            let verdicts = readings.into_iter().map(|reading| reading.verdict);
            bench.report.add(Section {
                title: title.into(),
                database: engine.name().into(),
                beside: "floor",
                figures,
                verified: verdicts.fold(Verdict::default(), Verdict::and),
            });
        }
    }
    Ok(())
}

/// Has all readers read their share of so many pages.
async fn read(target: &Target, way: impl Fn(usize) -> Way, pages: usize) -> Result<Reading> {
    let token = token::admin("reader");
    let mut readers = Vec::new();
    for reader in 0..READERS {
        readers.push((Http::connect(target.door.address, &token).await?, way(reader)));
    }
    let (before, start) = (target.usage()?, Instant::now());
    let share = pages / READERS;
    let read =
        try_join_all(readers.into_iter().map(|(http, way)| follow(http, way, share))).await?;
    let (usage, seconds) = (target.usage()? - before, start.elapsed().as_secs_f64());

    let pages = (share * READERS) as f64;
    let (latencies, faults): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let mut latencies: Vec<f32> = latencies.concat();
    Ok(Reading {
        per_second: pages / seconds,
        p50: percentile(&mut latencies, 0.50),
        p99: percentile(&mut latencies, 0.99),
        server_us: usage.server_us(pages),
        database_us: usage.database_us(pages),
        verdict: Verdict::of(pages as usize * LIMIT, faults.concat()),
    })
}

/// One reader: the latencies in milliseconds, and what was not as it must be.
async fn follow(mut http: Http, way: Way, pages: usize) -> Result<(Vec<f32>, Vec<String>)> {
    let (mut latencies, mut faults) = (Vec::with_capacity(pages), Vec::new());
    let (mut path, mut due) = match way {
        Way::Stay(path) => (path, None),
        Way::Deeper(path, seq) => (path, Some(seq)),
    };
    for _ in 0..pages {
        let sent = Instant::now();
        let answer = http.get(&path).await?;
        latencies.push(sent.elapsed().as_secs_f32() * 1e3);
        let page: Page = event::parse(answer)?;
        if page.data.len() != LIMIT {
            faults.push(format!("{path}: {} messages", page.data.len()));
        }
        let mut expected = due.or(page.data.first().map(|message| message.seq));
        for message in &page.data {
            // What stands where is known, but not at the bare peer.
            if Some(message.seq) != expected
                || (due.is_some() && message.client_id != format!("g{}", message.seq))
            {
                faults.push(format!("{path}: {} where {expected:?} was due", message.seq));
            }
            expected = Some(message.seq - 1);
        }
        if due.is_some() {
            due = expected;
            let Some(next) = page.next else { break };
            path = next;
        }
    }
    Ok((latencies, faults))
}
