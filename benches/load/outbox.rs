//! Cost of outbox events for a message.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use tokio::time::sleep;

use crate::Bench;
use crate::database::Engine;
use crate::ledger::Verdict;
use crate::process::Usage;
use crate::report::{Figure, Section, figures};
use crate::setup;
use crate::support::{MESSAGES, STEADY, verify};
use crate::traffic::Window;

/// Nobody listens on the discard port of this machine.
const NOBODY: &str = "amqp://127.0.0.1:9/%2f";
/// The service's queue. The broker keeps its newest alone: what a service does is not measured.
const QUEUE: &str = "bench.events";
const KEPT: i32 = 10_000;
/// Deadline of the last event.
const DRAINED: Duration = Duration::from_secs(180);

/// One server's windows, and what it took until nothing was left to be told.
struct Run {
    windows: Vec<Window>,
    verdict: Verdict,
    /// From before the first message until the last event was confirmed.
    whole: Usage,
    messages: f64,
    /// After the last message.
    drained: Duration,
}

/// Support at the steady pace: without other services, with a broker that is away, and with one that
/// takes each event to the exchange and into a durable queue. In one run, one after the other.
pub async fn outbox(bench: &mut Bench) -> Result<()> {
    let broker = bench.rabbitmq.clone().context("needs --rabbitmq, the URL of a broker")?;
    declare(&broker).await?;
    for engine in bench.engines.clone() {
        let off = run(bench, &engine, "outbox_off", &[]).await?;
        let away = [("FRONTDESK__RABBITMQ__URL", NOBODY)];
        let away = run(bench, &engine, "outbox_away", &away).await?;
        let told = [
            ("FRONTDESK__RABBITMQ__URL", broker.as_str()),
            ("FRONTDESK__RABBITMQ__EVENT_QUEUES", QUEUE),
        ];
        let told = run(bench, &engine, "outbox_told", &told).await?;
        for (title, run) in [
            ("outbox, the broker away, 64 in flight", away),
            ("outbox, exchange and a queue, 64 in flight", told),
        ] {
            let mut figures = figures(&MESSAGES, &run.windows, &off.windows);
            if title.contains("queue") {
                figures.extend([
                    whole("CPU of the server, to the last event", &run, &off, Usage::server_us),
                    whole("CPU of the database, to the last event", &run, &off, Usage::database_us),
                    Figure::new("last event after", "s", vec![run.drained.as_secs_f64()]),
                ]);
            }
            bench.report.add(Section {
                title: title.into(),
                database: engine.name().into(),
                beside: "off",
                figures,
                verified: run.verdict,
            });
        }
    }
    Ok(())
}

fn whole(name: &'static str, run: &Run, off: &Run, us: fn(Usage, f64) -> f64) -> Figure {
    Figure::new(name, "µs/message", vec![us(run.whole, run.messages)])
        .beside(us(off.whole, off.messages))
}

async fn run(bench: &Bench, engine: &Engine, name: &str, settings: &[(&str, &str)]) -> Result<Run> {
    let database = engine.fresh(name).await?;
    let server = bench.server_with(&database, settings).await?;
    let traffic = setup::support(&server, bench.plan.chats).await?;
    let (before, stored) = (server.usage()?, server.metric("messages_stored_total").await?);
    let windows = traffic.measure(STEADY, &server, &bench.plan).await?;
    let messages = server.metric("messages_stored_total").await? - stored;
    let start = Instant::now();
    if !settings.is_empty() && !settings.contains(&("FRONTDESK__RABBITMQ__URL", NOBODY)) {
        // Events of chats and users are among those that are confirmed.
        while server.metric("outbox_waiting").await? > 0.0
            || server.metric("events_confirmed_total").await? < messages
        {
            ensure!(start.elapsed() < DRAINED, "events are left over after {DRAINED:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
    let (whole, drained) = (server.usage()? - before, start.elapsed());
    let verdict = verify(&traffic, &server).await?;
    Ok(Run { windows, verdict, whole, messages, drained })
}

async fn declare(broker: &str) -> Result<()> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(KEPT));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, arguments).await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}
