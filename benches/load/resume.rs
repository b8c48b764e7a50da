//! Everybody comes back at once, and each has missed something.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, future, stream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::Bench;
use crate::connection::Connection;
use crate::ledger::Verdict;
use crate::report::{DATABASE, Measure, Section, figures};
use crate::setup;
use crate::target::Target;
use crate::token;
use crate::transport::{Door, Visit};

/// Messages that each session has missed.
const MISSED: i64 = 20;

/// Handshakes in flight; reading what was missed is not bounded.
const HANDSHAKES: usize = 256;

/// Sessions that write what is missed, and how many acks each may have outstanding.
const WRITERS: usize = 8;
const OUTSTANDING: usize = 32;

/// Time in which surplus messages may arrive.
const SILENCE: Duration = Duration::from_millis(500);

/// Until a server has noticed who left.
const SETTLE: Duration = Duration::from_secs(1);

/// One return of all.
struct Return {
    per_second: f64,
    seconds: f64,
    server_us: f64,
    database_us: f64,
}

const MEASURES: [Measure<Return>; 4] = [
    ("messages replayed", "/s", |all| all.per_second),
    ("until all have all", "s", |all| all.seconds),
    ("CPU of the server", "µs/message", |all| all.server_us),
    (DATABASE, "µs/message", |all| all.database_us),
];

/// 5,000 sessions resume together; 20 messages are replayed to each.
pub async fn resume(bench: &mut Bench) -> Result<()> {
    let count = bench.plan.connections;
    let floor = {
        let bare = bench.bare().await?;
        let visit = Visit { query: format!("backlog={MISSED}"), ..Visit::default() };
        let visits = vec![visit; count];
        returns(&bare, &visits, bench.plan.runs).await?.0
    };
    for engine in bench.engines.clone() {
        let database = engine.fresh("resume").await?;
        let server = bench.server(&database).await?;
        let mut visits = setup::customers("sleeper", count);
        let sessions = setup::connect_all(server.door, &visits).await?;
        let chats: Vec<i64> = sessions
            .iter()
            .map(|session| Ok(session.chats.first().context("a customer without a chat")?.id))
            .collect::<Result<_>>()?;
        drop(sessions);
        sleep(SETTLE).await;
        write(server.door, &chats).await?;

        for (visit, chat) in visits.iter_mut().zip(chats) {
            visit.missed = Some(chat);
        }
        let (returns, verified) = returns(&server, &visits, bench.plan.runs).await?;
        bench.report.add(Section {
            title: format!("resume, {count} sessions of {MISSED} each"),
            database: engine.name().into(),
            beside: "floor",
            figures: figures(&MEASURES, &returns, &floor),
            verified,
        });
    }
    Ok(())
}

/// Writes `m1`, `m2` … into each chat: always the same admin in one chat, so that they stay in
/// order.
async fn write(door: Door, chats: &[i64]) -> Result<()> {
    let writers = (0..WRITERS).map(|writer| async move {
        let visit = Visit::of(token::admin(&format!("writer-{writer}")));
        let mut admin = setup::connect(door, &visit).await?.connection;
        let sender = admin.sender();
        let mut outstanding = 0;
        for number in 1..=MISSED {
            for chat in chats.iter().skip(writer).step_by(WRITERS) {
                let data = format!(
                    r#"{{"chatId":{chat},"clientId":"m{number}","message":"m{number} was missed"}}"#
                );
                sender.request("send_message", 1, &data)?;
                outstanding += 1;
                if outstanding == OUTSTANDING {
                    admin.wait_for("ack").await?;
                    outstanding -= 1;
                }
            }
        }
        for _ in 0..outstanding {
            admin.wait_for("ack").await?;
        }
        anyhow::Ok(())
    });
    future::try_join_all(writers).await?;
    Ok(())
}

async fn returns(target: &Target, visits: &[Visit], runs: usize) -> Result<(Vec<Return>, Verdict)> {
    let messages = visits.len() as f64 * MISSED as f64;
    let (mut returns, mut verdict) = (Vec::new(), Verdict::default());
    for _ in 0..runs {
        let places = Semaphore::new(HANDSHAKES);
        let (before, start) = (target.usage()?, Instant::now());
        let sessions: Vec<(Connection, Vec<String>)> = stream::iter(visits)
            .map(|visit| come_back(target.door, visit, &places))
            .buffer_unordered(visits.len())
            .try_collect()
            .await?;
        let (usage, seconds) = (target.usage()? - before, start.elapsed().as_secs_f64());
        returns.push(Return {
            per_second: messages / seconds,
            seconds,
            server_us: usage.server_us(messages),
            database_us: usage.database_us(messages),
        });

        let (sessions, faults): (Vec<_>, Vec<_>) = sessions.into_iter().unzip();
        let extra: Vec<Option<String>> =
            stream::iter(sessions).map(silence).buffer_unordered(visits.len()).collect().await;
        let faults = faults.into_iter().flatten().chain(extra.into_iter().flatten()).collect();
        verdict = verdict.and(Verdict::of(messages as usize, faults));
        sleep(SETTLE).await;
    }
    Ok((returns, verdict))
}

/// Connects and reads until the last of the missed messages; says what was not as it must be.
async fn come_back(
    door: Door,
    visit: &Visit,
    places: &Semaphore,
) -> Result<(Connection, Vec<String>)> {
    let mut connection = {
        let _place = places.acquire().await?;
        setup::connect(door, visit).await?.connection
    };
    let mut faults = Vec::new();
    for due in 1..=MISSED {
        let message = connection
            .wait_for("receive_message")
            .await
            .with_context(|| format!("chat {:?}, {due} of {MISSED}", visit.missed))?
            .data;
        let seq = message.seq.unwrap_or(0);
        if seq != due || message.client_id != format!("m{due}") {
            faults.push(format!(
                "chat {:?}: {seq} ({}) came where {due} was due",
                visit.missed, message.client_id
            ));
        }
    }
    Ok((connection, faults))
}

/// Nothing may follow what was missed.
async fn silence(mut connection: Connection) -> Option<String> {
    let extra = timeout(SILENCE, connection.wait_for("receive_message")).await.ok()?;
    Some(match extra {
        Ok(event) => format!("{} came once more", event.data.client_id),
        Err(error) => format!("a session broke: {error:#}"),
    })
}
