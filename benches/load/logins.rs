//! Passwords that are tried beside talk: what those who talk notice of it.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::Bench;
use crate::database::Engine;
use crate::http::Http;
use crate::ledger::Verdict;
use crate::options::Plan;
use crate::report::{Figure, Section, figures};
use crate::setup;
use crate::support::{MESSAGES, verify};
use crate::traffic::{Pace, Window};

/// Attempts a minute, of all connections.
const ATTEMPTS: u32 = 10_000;
/// Connections that attempt.
const CONNECTIONS: u32 = 100;
/// Far below full load, so that latency is not that of a queue.
const PACE: Pace = Pace::PerSecond(1000);
/// Length of a window, in those of other scenarios: three are a minute.
const WINDOWS: u32 = 5;

/// Addresses of those who attempt.
#[derive(Clone, Copy)]
enum Source {
    Nobody,
    OneAddress,
    ManyAddresses,
}

/// Attempts, by their answer.
#[derive(Default)]
struct Answers {
    wrong: f64,
    limited: f64,
    busy: f64,
    other: f64,
}

/// The same chats at the same pace three times: with no logins, from one address, and from many.
pub async fn logins(bench: &mut Bench) -> Result<()> {
    for engine in bench.engines.clone() {
        let (alone, _, sound) = run(bench, &engine, "logins_none", Source::Nobody).await?;
        for (title, name, from) in [
            ("10,000 logins a minute from one address", "logins_one", Source::OneAddress),
            ("10,000 logins a minute from many addresses", "logins_many", Source::ManyAddresses),
        ] {
            let (windows, figures_of_logins, verified) = run(bench, &engine, name, from).await?;
            let mut figures = figures(&MESSAGES, &windows, &alone);
            figures.extend(figures_of_logins);
            bench.report.add(Section {
                title: title.into(),
                database: engine.name().into(),
                beside: "nobody",
                figures,
                verified: verified.and(sound.clone()),
            });
        }
    }
    Ok(())
}

async fn run(
    bench: &Bench,
    engine: &Engine,
    name: &str,
    from: Source,
) -> Result<(Vec<Window>, Vec<Figure>, Verdict)> {
    let database = engine.fresh(name).await?;
    let settings = [
        ("FRONTDESK__AUTH__LOCAL_ACCOUNTS", "true"),
        ("FRONTDESK__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let server = bench.server_with(&database, &settings).await?;
    let traffic = setup::support(&server, bench.plan.chats).await?;
    let plan = Plan { window: WINDOWS * bench.plan.window, ..bench.plan };
    let answers = Rc::new(RefCell::new(Answers::default()));
    let began = Instant::now();
    let mut attempts = JoinSet::new();
    if !matches!(from, Source::Nobody) {
        for connection in 0..CONNECTIONS {
            attempts.spawn_local(attempt(server.door.address, from, connection, answers.clone()));
        }
    }
    let windows = traffic.measure(PACE, &server, &plan).await?;
    let seconds = began.elapsed().as_secs_f64();
    attempts.shutdown().await;
    let verdict = verify(&traffic, &server).await?;
    let answers = answers.borrow();
    let figure = |name, count: f64| Figure::new(name, "/s", vec![count / seconds]);
    let figures = vec![
        figure("logins of a wrong password, 401", answers.wrong),
        figure("logins over a limit, 429", answers.limited),
        figure("logins refused as busy, 503", answers.busy),
        figure("logins with another answer", answers.other),
    ];
    Ok((windows, figures, verdict))
}

/// Tries a password for another account each time.
async fn attempt(
    address: SocketAddr,
    from: Source,
    connection: u32,
    answers: Rc<RefCell<Answers>>,
) -> Result<()> {
    let mut http = Http::connect(address, "").await?;
    let period = Duration::from_secs(60) * CONNECTIONS / ATTEMPTS;
    // One after the other, not all at once: a hundred at once are another question.
    let mut ticks = interval_at(Instant::now() + period * connection / CONNECTIONS, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        ticks.tick().await;
        let client = match from {
            Source::ManyAddresses => Ipv4Addr::from_bits(0x0b00_0000 | connection << 16 | number),
            Source::Nobody | Source::OneAddress => Ipv4Addr::new(11, 0, 0, 1),
        };
        let body = format!(
            r#"{{"email":"user-{connection}-{number}@example.com","password":"a wrong password"}}"#
        );
        let status = http.post("/auth/login", &body, client).await?;
        let mut answers = answers.borrow_mut();
        *match status {
            401 => &mut answers.wrong,
            429 => &mut answers.limited,
            503 => &mut answers.busy,
            _ => &mut answers.other,
        } += 1.0;
    }
    Ok(())
}
