//! The app under test, in this process, and the further nodes of its deployment.

use std::net::SocketAddr;
use std::ops::Deref;
use std::thread::{self, JoinHandle};

use frontdesk::actors::CrashOf;
use frontdesk::application::{Application, Events, Handle};
use frontdesk::domain::{ChatId, SessionId, Timings};
use frontdesk::settings::Settings;
use tokio::sync::oneshot;

use super::deployment::{self, Draw, Driver, NODES};
use super::tokens::SECRET;
use super::{Database, Person, Process, Proxy, TestBroker, TestClient};

/// Limits that get in no scenario's way, unless it is about them.
const AMPLE: [(&str, &str); 6] = [
    // The tests' PostgreSQL need not survive its machine.
    ("database.weak_durability", "true"),
    ("server.workers", "2"),
    ("server.shutdown_timeout", "2"),
    ("server.drain_window_ms", "100"),
    ("limits.messages_per_second", "100000"),
    ("limits.burst", "100000"),
];

/// A database and the nodes on it: one, or three. All of it is gone when this is dropped.
pub struct TestApp {
    // Before the database: a field is dropped after those above it.
    nodes: Nodes,
    proxy: Option<Proxy>,
    database: Database,
    settings: Vec<(String, String)>,
    timings: Timings,
}

/// A function between the backplane's driver and a node.
type Disturb = fn(Events) -> Events;

impl TestApp {
    /// On a file of its own.
    pub async fn sqlite(settings: &[(&str, String)]) -> Self {
        let database = Database::sqlite();
        Self::on(database, None, owned(settings), Timings::default(), None).await
    }

    /// On a PostgreSQL database of its own.
    pub async fn postgres(settings: &[(&str, String)]) -> Self {
        let database = Database::postgres_without_rows().await;
        Self::on(database, None, owned(settings), Timings::default(), None).await
    }

    /// Three nodes that know each other, on a PostgreSQL database of their own. Whoever connects or
    /// asks does so at a random one.
    pub async fn nodes(settings: &[(&str, String)], driver: Driver) -> Self {
        let database = Database::postgres_without_rows().await;
        // What comes last wins.
        let settings = [deployment::settings(driver), owned(settings)].concat();
        let draw = Draw::announced(driver);
        Self::on(database, None, settings, Timings::default(), Some(draw)).await
    }

    /// The same, with a function between the backplane and each node.
    pub async fn disturbed(
        settings: &[(&str, String)],
        driver: Driver,
        disturb: fn(Events) -> Events,
    ) -> Self {
        let database = Database::postgres_without_rows().await;
        let settings = [deployment::settings(driver), owned(settings)].concat();
        let (url, timings) = (database.url(), Timings::default());
        let nodes = Nodes::disturbed(&url, &settings, Draw::announced(driver), disturb).await;
        Self { nodes, proxy: None, database, settings, timings }
    }

    async fn on(
        database: Database,
        proxy: Option<Proxy>,
        settings: Vec<(String, String)>,
        timings: Timings,
        draw: Option<Draw>,
    ) -> Self {
        let url = match &proxy {
            Some(proxy) => database.url_by_way_of(proxy.address()),
            None => database.url(),
        };
        let nodes = Nodes::start(&url, &settings, timings, draw).await;
        Self { nodes, proxy, database, settings, timings }
    }

    /// The same app, started anew behind a proxy that can be cut.
    pub async fn behind_a_proxy(self) -> Self {
        let Self { nodes, database, settings, timings, .. } = self;
        let draw = nodes.stopped();
        let proxy = Proxy::to(database.server()).await;
        Self::on(database, Some(proxy), settings, timings, draw).await
    }

    /// The same app, started anew with other timers.
    pub async fn with_timings(self, timings: Timings) -> Self {
        let Self { nodes, proxy, database, settings, .. } = self;
        let draw = nodes.stopped();
        Self::on(database, proxy, settings, timings, draw).await
    }

    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("an app behind a proxy")
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Another service's connection to the app's RabbitMQ.
    pub async fn broker(&self) -> TestBroker {
        TestBroker::connect(self.setting("rabbitmq.url"), self.setting("rabbitmq.prefix")).await
    }

    /// A setting that the scenario has made.
    pub fn setting(&self, key: &str) -> &str {
        let found = self.settings.iter().rev().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{key} is not set"))
    }

    /// Stops all nodes, and starts as many on the same database.
    pub async fn restart(&mut self) {
        let draw = std::mem::take(&mut self.nodes).stopped();
        self.nodes = Nodes::start(&self.database.url(), &self.settings, self.timings, draw).await;
    }

    /// The sum of a metric over its labels and over all nodes; one of them at least has it.
    pub async fn metric(&self, name: &str) -> f64 {
        let mut sum = None;
        for node in &self.nodes.nodes {
            if let Some(value) = node.try_metric(name).await {
                sum = Some(sum.unwrap_or(0.0) + value);
            }
        }
        sum.unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// Number of panics that all nodes have counted.
    pub async fn panics(&self) -> f64 {
        self.metric("frontdesk_panics_total").await
    }

    /// Makes a chat's room panic, on each node that has it.
    pub fn crash_room(&self, chat: i64) {
        self.nodes.nodes.iter().for_each(|node| node.crash_room(chat));
    }

    /// Makes an executor panic, on each node; nothing happens where there are fewer.
    pub fn crash_executor(&self, index: usize) {
        self.nodes.nodes.iter().for_each(|node| node.crash_executor(index));
    }

    /// Makes a session panic, on the node that has it.
    pub fn crash_session(&self, session: &str) {
        self.nodes.nodes.iter().for_each(|node| node.crash_session(session));
    }

    /// One more node on the same database, in this process.
    pub async fn another_node(&self) -> Node {
        Node::start(&self.database.url(), &self.settings, self.timings).await
    }

    /// One more node on the same database, in a process of its own.
    pub async fn another_process(&self) -> Process {
        self.another_process_with(&[]).await
    }

    /// The same with other settings.
    pub async fn another_process_with(&self, others: &[(&'static str, &str)]) -> Process {
        let mut settings = self.settings.clone();
        settings.extend(others.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        Process::start(&process_settings(&self.database.url(), &settings)).await
    }

    /// Addresses of all nodes.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.nodes.iter().map(Node::address).collect()
    }
}

/// The app is spoken to through a random one of its nodes, drawn anew each time.
impl Deref for TestApp {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.nodes
    }
}

/// The nodes of an app in this process.
#[derive(Default)]
struct Nodes {
    nodes: Vec<Node>,
    /// `None` for a single node.
    draw: Option<Draw>,
}

impl Nodes {
    /// Starts them, and waits until they know each other.
    async fn start(
        database: &str,
        settings: &[(String, String)],
        timings: Timings,
        draw: Option<Draw>,
    ) -> Self {
        let count = if draw.is_some() { NODES } else { 1 };
        let starting = (0..count).map(|_| Node::start(database, settings, timings));
        let nodes = super::all(starting).await;
        deployment::meet(nodes.iter()).await;
        Self { nodes, draw }
    }

    async fn disturbed(
        database: &str,
        settings: &[(String, String)],
        draw: Draw,
        disturb: Disturb,
    ) -> Self {
        let timings = Timings::default();
        let starting =
            (0..NODES).map(|_| Node::start_with(database, settings, timings, Some(disturb)));
        let nodes = super::all(starting).await;
        deployment::meet(nodes.iter()).await;
        Self { nodes, draw: Some(draw) }
    }

    /// Stops all at once, and waits for their end.
    fn stopped(mut self) -> Option<Draw> {
        self.draw.take()
    }
}

impl Deref for Nodes {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.nodes[self.draw.as_ref().map_or(0, |draw| draw.below(self.nodes.len()))]
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.nodes.iter().for_each(Node::leave);
        self.nodes.iter_mut().for_each(Node::stop);
    }
}

/// One running server.
pub struct Node {
    address: SocketAddr,
    pub(super) http: reqwest::Client,
    running: Option<Running>,
}

struct Running {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Node {
    async fn start(database: &str, settings: &[(String, String)], timings: Timings) -> Self {
        Self::start_with(database, settings, timings, None).await
    }

    /// Starts a server on its own thread, with its own actix system.
    async fn start_with(
        database: &str,
        settings: &[(String, String)],
        timings: Timings,
        disturb: Option<Disturb>,
    ) -> Self {
        let toml = format!(
            "server.bind = '127.0.0.1:0'\ndatabase.url = '{database}'\nauth.secret = \"{SECRET}\"\n"
        );
        let others = AMPLE.map(|(key, value)| (key, value.to_owned()));
        // What comes last wins.
        let settings = settings.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let all: Vec<_> = others.into_iter().chain(settings).collect();
        let settings = Settings::load_from(&toml, environment(&all).into_iter())
            .unwrap_or_else(|e| panic!("the settings are refused: {e:#}"));

        let (tell, told) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("frontdesk".into())
            .spawn(move || {
                actix::System::new().block_on(async move {
                    let app = match disturb {
                        None => Application::build_with(settings, timings).await,
                        Some(it) => Application::build_disturbed(settings, timings, it).await,
                    };
                    let app = match app {
                        Ok(app) => app,
                        Err(e) => return drop(tell.send(Err(format!("{e:#}")))),
                    };
                    let _ = tell.send(Ok((app.port(), app.handle())));
                    app.run_until_stopped().await.expect("the server ends well");
                });
            })
            .expect("a thread");
        let (port, handle) = told
            .await
            .expect("the server's thread lives")
            .unwrap_or_else(|e| panic!("the app does not start: {e}"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut node = Self::elsewhere(address);
        node.running = Some(Running { handle, thread });
        node
    }

    /// A server that somebody else runs.
    pub fn elsewhere(address: SocketAddr) -> Self {
        Self { address, http: reqwest::Client::new(), running: None }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a chat's room panic.
    pub fn crash_room(&self, chat: i64) {
        self.crash(CrashOf::Room(ChatId(chat)));
    }

    /// Makes an executor panic; nothing happens where there are fewer.
    pub fn crash_executor(&self, index: usize) {
        self.crash(CrashOf::Executor(index));
    }

    /// Makes a session panic.
    pub fn crash_session(&self, session: &str) {
        let id = session.parse().expect("a session's id is a UUID");
        self.crash(CrashOf::Session(SessionId(id)));
    }

    fn crash(&self, what: CrashOf) {
        self.running.as_ref().expect("a server in this process").handle.crash(what);
    }

    /// Connects `who` with the token in the header, and reads `welcome`.
    pub async fn connect(&self, who: &Person) -> TestClient {
        self.connecting().bearer(&who.token()).welcomed().await
    }

    /// Connects `who` resuming: `10:55,12:3`.
    pub async fn resume(&self, who: &Person, positions: &str) -> TestClient {
        self.connecting()
            .bearer(&who.token())
            .query(&format!("resume={positions}"))
            .welcomed()
            .await
    }

    /// Tells the server to stop.
    fn leave(&self) {
        if let Some(running) = &self.running {
            running.handle.stop();
        }
    }

    /// Stops the server, and waits for its end.
    pub fn stop(&mut self) {
        self.leave();
        if let Some(Running { thread, .. }) = self.running.take() {
            let ended = thread.join();
            // A scenario that fails already must not fail twice, which would abort all of them.
            assert!(ended.is_ok() || thread::panicking(), "the server's thread panicked");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

fn owned(settings: &[(&str, String)]) -> Vec<(String, String)> {
    settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

/// Settings of a process on `database`.
pub fn process_settings(database: &str, others: &[(String, String)]) -> Vec<(String, String)> {
    let own = [("database.url", database), ("auth.secret", SECRET)];
    let own = own.into_iter().chain(AMPLE).map(|(key, value)| (key.to_owned(), value.to_owned()));
    own.chain(others.iter().cloned()).collect()
}

/// Settings as they stand in the environment; of one named twice, the last.
pub fn environment(settings: &[(impl AsRef<str>, String)]) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for (key, value) in settings {
        let name = format!("FRONTDESK__{}", key.as_ref().to_uppercase().replace('.', "__"));
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value.clone()));
    }
    variables
}
