//! Sessions on long polling beside others in the same rooms: what the others notice of them.

use std::rc::Rc;

use anyhow::{Context, Result};

use crate::Bench;
use crate::database::Engine;
use crate::ledger::Verdict;
use crate::report::{DATABASE, Measure, Section, figures};
use crate::setup;
use crate::support::verify;
use crate::target::Target;
use crate::traffic::{Pace, Traffic, Window};
use crate::transport::{Door, Transport};

/// Sessions of a room: its customer, and admins.
const ROOM: usize = 4;
/// Far below full load, so that latency is not that of a queue.
const PACE: Pace = Pace::PerSecond(1000);

const MEASURES: [Measure<Window>; 11] = [
    ("messages", "/s", |window| window.messages / window.seconds),
    ("ack p50", "ms", |window| window.ack.p50),
    ("ack p99", "ms", |window| window.ack.p99),
    ("delivery p50", "ms", |window| window.delivery.p50),
    ("delivery p99", "ms", |window| window.delivery.p99),
    ("ack p50, polling", "ms", |window| window.ack_beside.p50),
    ("ack p99, polling", "ms", |window| window.ack_beside.p99),
    ("delivery p50, polling", "ms", |window| window.delivery_beside.p50),
    ("delivery p99, polling", "ms", |window| window.delivery_beside.p99),
    ("CPU of the server", "µs/message", |window| window.usage.server_us(window.messages)),
    (DATABASE, "µs/message", |window| window.usage.database_us(window.messages)),
];

/// The same rooms at the same pace twice: with nobody on long polling, and with half of each room.
pub async fn polling(bench: &mut Bench) -> Result<()> {
    for engine in bench.engines.clone() {
        let (alone, sound) = run(bench, &engine, "polling_nobody", bench.transport()).await?;
        let (half, verified) = run(bench, &engine, "polling_half", Transport::Polling).await?;
        bench.report.add(Section {
            title: "half of the sessions on long polling".into(),
            database: engine.name().into(),
            beside: "nobody",
            figures: figures(&MEASURES, &half, &alone),
            verified: verified.and(sound),
        });
    }
    Ok(())
}

async fn run(
    bench: &Bench,
    engine: &Engine,
    name: &str,
    other: Transport,
) -> Result<(Vec<Window>, Verdict)> {
    let database = engine.fresh(name).await?;
    let server = bench.server(&database).await?;
    let traffic = rooms(&server, 2 * bench.plan.chats / ROOM, other).await?;
    let windows = traffic.measure(PACE, &server, &bench.plan).await?;
    Ok((windows, verify(&traffic, &server).await?))
}

/// Rooms in which every second session is on another transport; in turn the customer or not.
async fn rooms(target: &Target, rooms: usize, other: Transport) -> Result<Rc<Traffic>> {
    let (mut heads, mut sessions) = (Vec::with_capacity(rooms), Vec::with_capacity(ROOM * rooms));
    for (room, visit) in setup::customers("customer", rooms).iter().enumerate() {
        let door = |seat: usize| {
            let is_other = (room + seat) % 2 == 1;
            Door { transport: if is_other { other } else { target.door.transport }, ..target.door }
        };
        let customer = setup::connect(door(0), visit).await?;
        heads.push(*customer.chats.first().context("a customer without a chat")?);
        sessions.push((room, customer.connection));
        for seat in 1..ROOM {
            let (admin, _) = setup::enter(door(seat), ROOM * room + seat, heads[room].id).await?;
            sessions.push((room, admin));
        }
    }
    Ok(Traffic::start(&heads, sessions))
}
