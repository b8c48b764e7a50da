//! Three nodes on one database, and what befalls them and what is between them, while several
//! customers and an agent write all the time. Nothing is lost, doubled or out of order.

use std::time::Duration;

use frontdesk::application::Events;
use frontdesk::cluster::Event;
use tokio::sync::mpsc;

use crate::support::deployment::{self, Driver, meet};
use crate::support::redis::OwnRedis;
use crate::support::steady::{Count, Fared, Load, SETTINGS};
use crate::support::{Database, Node, Process, TestApp, eventually, process_settings, run};

/// Messages in each chat before a fault, and after it.
const SOME: i64 = 20;

/// Three nodes, each in a process of its own.
struct Deployment {
    nodes: Vec<Process>,
    database: Database,
}

impl Deployment {
    async fn start(others: &[(String, String)]) -> Self {
        let database = Database::postgres().await;
        let mut settings: Vec<_> =
            SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        settings.extend_from_slice(others);
        let settings = process_settings(&database.url(), &settings);
        let mut nodes = Vec::new();
        for _ in 0..deployment::NODES {
            nodes.push(Process::start(&settings).await);
        }
        meet(nodes.iter().map(|process| &**process)).await;
        Self { nodes, database }
    }

    async fn over(driver: Driver) -> Self {
        Self::start(&deployment::settings(driver)).await
    }

    /// Clients at work on it, who have all heard of some messages.
    async fn load(&self) -> Load {
        let load = Load::start(self.nodes.iter().map(|node| node.address()).collect()).await;
        load.goes_on(&self.database, SOME).await;
        load
    }

    /// Some more messages, and then the count.
    async fn counted(&self, load: Load, node: &Node) -> Fared {
        load.goes_on(&self.database, SOME).await;
        let fared = load.counted(&self.database, node).await;
        assert_eq!(fared.count, Count::default(), "of {} messages", fared.messages);
        fared
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_loses_nothing() {
    for driver in deployment::drivers("a_node_that_is_killed_loses_nothing") {
        run(async {
            let mut desk = Deployment::over(driver).await;
            let load = desk.load().await;
            desk.nodes[0].kill();
            load.is_whole(&desk.database, "a node was killed").await;
            desk.counted(load, &desk.nodes[1]).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_paused_loses_nothing() {
    for driver in deployment::drivers("a_node_that_is_paused_loses_nothing") {
        run(async {
            let desk = Deployment::over(driver).await;
            let load = desk.load().await;
            desk.nodes[0].signal("STOP");
            load.is_whole(&desk.database, "a node was paused").await;
            // Longer than the others wait for a sign of life.
            tokio::time::sleep(Duration::from_secs(20)).await;
            desk.nodes[0].signal("CONT");
            load.is_whole(&desk.database, "it went on").await;
            meet(desk.nodes.iter().map(|process| &**process)).await;
            desk.counted(load, &desk.nodes[0]).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_leaves_nobody_without_service() {
    for driver in deployment::drivers("a_rolling_restart_leaves_nobody_without_service") {
        run(async {
            let mut desk = Deployment::over(driver).await;
            let load = desk.load().await;
            for n in 0..desk.nodes.len() {
                desk.nodes[n].signal("TERM");
                assert_eq!(desk.nodes[n].ended().await, 0);
                desk.nodes[n].restart().await;
                load.is_whole(&desk.database, "a node was restarted").await;
            }
            let fared = desk.counted(load, &desk.nodes[0]).await;
            // Each came back when it was asked to, and the first node that was ready took it.
            assert!(fared.goodbyes > 0, "nobody was on any node: {fared:?}");
            assert_eq!((fared.losses, fared.refused), (0, 0), "{fared:?}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_goes_and_comes_loses_nothing() {
    run(async {
        let mut redis = OwnRedis::start(&[]).await;
        let desk = Deployment::start(&[("redis.url".to_owned(), redis.url())]).await;
        let load = desk.load().await;
        redis.kill();
        load.goes_on(&desk.database, SOME).await;
        redis.restart().await;
        load.is_whole(&desk.database, "Redis was killed and restarted").await;
        load.goes_on(&desk.database, SOME).await;
        redis.flush().await;
        load.is_whole(&desk.database, "Redis was flushed").await;
        load.goes_on(&desk.database, SOME).await;
        redis.signal("STOP");
        load.goes_on(&desk.database, SOME).await;
        redis.signal("CONT");
        load.is_whole(&desk.database, "Redis was paused").await;
        meet(desk.nodes.iter().map(|process| &**process)).await;
        desk.counted(load, &desk.nodes[0]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_whose_connection_is_cut_loses_nothing() {
    run(async {
        let desk = Deployment::over(Driver::Postgres).await;
        let load = desk.load().await;
        let client = desk.database.connect().await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND query LIKE '%LISTEN \"frontdesk\"%' \
                   AND pid <> pg_backend_pid()";
        for _ in 0..3 {
            let listeners = eventually("all listen", || async {
                let cut = client.query(cut, &[]).await.expect("the listeners");
                (!cut.is_empty()).then_some(cut.len())
            })
            .await;
            load.is_whole(&desk.database, &format!("{listeners} listeners were cut")).await;
            load.goes_on(&desk.database, SOME).await;
        }
        meet(desk.nodes.iter().map(|process| &**process)).await;
        desk.counted(load, &desk.nodes[0]).await;
    })
    .await;
}

/// Drops a tenth of the messages, doubles a tenth, and lets a fifth be overtaken by the next.
fn disturbed(mut events: Events) -> Events {
    let (disturbed, out) = mpsc::channel(1);
    let chance = deployment::Draw::announced("messages between nodes");
    actix::spawn(async move {
        let mut late = None;
        while let Some(event) = events.recv().await {
            let mut now = Vec::new();
            match (event, chance.below(10)) {
                (Event::Message(_), 0) => continue,
                (Event::Message(bytes), 1) => {
                    now = vec![Event::Message(bytes.clone()), Event::Message(bytes)];
                }
                (Event::Message(bytes), 2 | 3) if late.is_none() => {
                    late = Some(Event::Message(bytes));
                    continue;
                }
                (event, _) => now.push(event),
            }
            for event in now.into_iter().chain(late.take()) {
                if disturbed.send(event).await.is_err() {
                    return;
                }
            }
        }
    });
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_between_nodes_that_are_dropped_doubled_and_reordered_lose_nothing() {
    let name = "messages_between_nodes_that_are_dropped_doubled_and_reordered_lose_nothing";
    for driver in deployment::drivers(name) {
        run(async {
            let settings = SETTINGS.map(|(key, value)| (key, value.to_owned()));
            let app = TestApp::disturbed(&settings, driver, disturbed).await;
            let load = Load::start(app.addresses()).await;
            load.goes_on(app.database(), 10 * SOME).await;
            load.is_whole(app.database(), "messages were disturbed").await;
            let fared = load.counted(app.database(), &app).await;
            assert_eq!(fared.count, Count::default(), "of {} messages", fared.messages);
            assert_eq!(fared.losses, 0, "{fared:?}");
        })
        .await;
    }
}
