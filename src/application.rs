//! Composition root: the only place that knows all parts, and connects them.

mod leaving;
mod signals;
mod start;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use crate::actors::{
    AddWorker, BatchLimits, ChatServer, ChatServerParts, CommitFeed, FlushSeen, Integrations,
    LastSeen, PageReader, Passwords, PeerFeed, RateSettings, RoomLimits, UserAdmission,
};
use crate::app::{Accounts, AppParts, AppState, AttemptLimits, HandshakeLimits};
use crate::auth::{AccountKeys, KeySetReader, Verifier, secret};
use crate::bus::{self, Bus};
use crate::cluster::{
    self, Backplane, ChangePoller, LocalNetwork, MOST_NEWS, Nodes, PostgresDriver, Receivers,
    RedisDriver, Seal, publish_news,
};
use crate::db::{self, Direction, Store};
use crate::domain::{NodeId, Stage, Timestamp, Timings};
use crate::http::{self, Pages, State};
use crate::metrics::Metrics;
use crate::outbox;
use crate::session::{Routes, SessionConfig};
use crate::settings::{Secret, Settings};
use crate::tls::Certificate;
use crate::transport::SessionClock;
use crate::transport::socketio::{Directory, Recoveries, SocketIoConfig};
use crate::web::Site;
use leaving::Plan;
use signals::Signals;
use start::{accounts_in_words, certificate_of, check_durability, demo};

/// Connections that the kernel holds until they are accepted.
const ACCEPT_BACKLOG: u32 = 4_096;
/// Commits that wait for those who watch, and changes of other nodes; what more there are is found by
/// polling.
const MOST_COMMITS: usize = 1_024;
/// Deadline at the end for writing when users were last seen.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The storage's configuration, from the settings.
#[must_use]
pub fn database(settings: &Settings) -> db::Config {
    let database = &settings.database;
    db::Config {
        url: database.url.expose().to_owned(),
        pool_size: database.pool_size,
        acquire_timeout: database.acquire_timeout(),
        ca_file: database.ca_file.clone(),
        sinks: settings.rabbitmq.is_on().then(|| bus::SINK.to_owned()).into_iter().collect(),
        create: true,
    }
}

/// Events of the backplane's driver for a node.
pub type Events = mpsc::Receiver<cluster::Event>;

/// A server that is bound, and does not run yet.
pub struct Application {
    server: Server,
    port: u16,
    handle: Handle,
    plan: Plan,
    stage: watch::Sender<Stage>,
    metrics: Arc<Metrics>,
    arbiters: Vec<Arbiter>,
    bus: Option<Bus>,
    nodes: Nodes,
    last_seen: Addr<LastSeen>,
    demo_key: Option<Secret>,
    certificate: Option<Arc<Certificate>>,
}

/// A handle to a running [`Application`].
#[derive(Clone)]
pub struct Handle {
    stop: Arc<Notify>,
    chat_server: Addr<ChatServer>,
}

/// The way in which a server has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    Well,
    /// A second signal came before the end.
    AtOnce,
}

impl Handle {
    /// Ends the server, as a signal does.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Makes actors panic.
    #[cfg(feature = "faults")]
    pub fn crash(&self, what: crate::actors::CrashOf) {
        self.chat_server.do_send(what);
    }
}

impl Application {
    /// Connects, migrates and binds.
    ///
    /// # Errors
    /// Anything that would keep the server from working, with the remedy.
    pub async fn build(settings: Settings) -> anyhow::Result<Self> {
        Self::build_with(settings, Timings::default()).await
    }

    /// Connects, migrates and binds, with timers for tests.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub async fn build_with(settings: Settings, timings: Timings) -> anyhow::Result<Self> {
        Self::assemble(settings, timings, |events| events).await
    }

    /// As [`build_with`](Self::build_with), with a function between the backplane's driver and the
    /// node that drops, doubles or reorders events.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    #[cfg(feature = "faults")]
    pub async fn build_disturbed(
        settings: Settings,
        timings: Timings,
        disturb: fn(Events) -> Events,
    ) -> anyhow::Result<Self> {
        Self::assemble(settings, timings, disturb).await
    }

    async fn assemble(
        settings: Settings,
        timings: Timings,
        between: fn(Events) -> Events,
    ) -> anyhow::Result<Self> {
        let database = database(&settings);
        // First, since the secret is beside the database.
        if let Some(warning) = db::check(&database)? {
            log::warn!("{warning}");
        }
        let secret = secret::signing_secret(&settings)?;
        let (key_set, key_reader) = KeySetReader::new(&settings.auth)?.unzip();
        let verifier = Verifier::new(&settings.auth, &settings.limits, secret.as_ref(), key_set)?;
        let store = Store::connect(&database).await?.with_leeway(settings.limits.leeway());
        check_durability(&store, settings.database.weak_durability).await?;
        for migration in store.migrate(Direction::Up).await? {
            log::info!("migrated {migration}");
        }
        let account_keys = secret
            .as_ref()
            .filter(|_| settings.auth.local_accounts)
            .map(|secret| AccountKeys::new(secret, settings.auth.previous_secret.as_ref()));
        let verifier = match &account_keys {
            Some(keys) => keys.accepted_by(verifier),
            None => verifier,
        };
        let (verifier, demo) = match demo(&settings, &store).await? {
            Some(demo) => (verifier.with_demo(&demo.keys), Some(demo)),
            None => (verifier, None),
        };
        let demo_key = demo.as_ref().map(|demo| demo.keys.address_key().clone());
        let pages = match settings.web.enabled {
            true => {
                let site = Site::new(settings.web.dir.as_deref())?;
                Some(web::Data::new(Pages { site, demo }))
            }
            false => None,
        };
        let metrics = Arc::new(Metrics::new());
        metrics.start_seconds.set(Timestamp::now().seconds());
        let bus = match settings.rabbitmq.is_on() {
            true => Some(Bus::new(Arc::new(settings.rabbitmq.clone()), Arc::clone(&metrics))?),
            false => None,
        };
        let (reading, control) = (Arbiter::new(), Arbiter::new());
        let (passwords, accounts) = account_keys
            .map(|keys| {
                let (thread, auth) = (Arbiter::new(), &settings.auth);
                let (most, metrics) = (auth.password_queue, Arc::clone(&metrics));
                let passwords = Passwords::start(&thread.handle(), most, metrics);
                (thread, Accounts::new(keys, passwords, auth))
            })
            .unzip();
        let notifications = store.notifications();
        let (watched, seen_commits) = mpsc::channel(MOST_COMMITS);
        let (commits, (feed, news)) = (CommitFeed::new(watched), mpsc::channel(MOST_NEWS));
        let feeds = (commits, PeerFeed::new(feed, Arc::clone(&metrics)));
        let (changes, heard) = mpsc::channel(MOST_COMMITS);
        let outside = (bus.as_ref().map(Bus::start_gateway), feeds.clone());
        let (reader, server) = (reading.handle(), control.handle());
        let arbiters = (&reader, &server);
        let (stage, stages) = watch::channel(Stage::Serving);
        let parts =
            parts((&settings, timings), verifier, (&store, &metrics), arbiters, outside, stages);
        let parts = Arc::new(AppParts { accounts, ..parts });
        let (chat_server, last_seen) = (parts.chat_server.clone(), parts.last_seen.clone());
        let redis = RedisDriver::new(&settings.redis, parts.node).map_err(anyhow::Error::msg)?;
        let (backplane, events, port) = Backplane::new(cluster::Limits::default());
        let node = parts.node;
        let seal = Seal::new(secret.as_ref(), settings.auth.previous_secret.as_ref());
        let (commits, feed) = feeds;
        let receivers = Receivers { chat_server: chat_server.clone(), commits, feed, changes };
        let nodes = Nodes::new(node, seal, backplane, receivers, Arc::clone(&metrics), &timings);
        let handle = Handle { stop: Arc::new(Notify::new()), chat_server: chat_server.clone() };

        let certificate = match (&settings.server.tls_cert_file, &settings.server.tls_key_file) {
            (Some(certificate), Some(key)) => Some(Arc::new(certificate_of(certificate, key)?)),
            _ => None,
        };
        let (bind, backlog) = (settings.server.bind.clone(), ACCEPT_BACKLOG);
        let (workers, keep_alive) = (settings.server.workers, settings.server.keep_alive());
        let plan = Plan::new(&settings.server, timings.goodbye_grace);
        let shown = Arc::clone(&metrics);
        let (poll, poll_metrics) = (settings.cluster.poll(), Arc::clone(&metrics));
        let gauges = Arc::clone(&metrics);
        let heartbeat = settings.limits.heartbeat();
        let bus_parts = Arc::clone(&parts);
        let listed = settings.server.allowed_origins.clone();
        let origins = Arc::new(http::Origins::new(listed, Arc::clone(&metrics)));
        let proxies = settings.server.trusted_proxies.clone();
        let addresses = Arc::new(http::ClientAddresses::new(proxies));
        let accounts_in_words = accounts_in_words(&settings.auth, passwords.is_some());
        let settings = Arc::new(settings);
        let front = settings.socketio.is_on().then(|| {
            let config = Arc::new(SocketIoConfig::new(&settings, node));
            let directory =
                Directory::start_in_arbiter(&control.handle(), |_| Directory::default());
            let (keep, most) = (settings.socketio.recovery(), settings.socketio.recovery_sessions);
            let recoveries = keep.map(|keep| {
                Recoveries::start_in_arbiter(&control.handle(), move |_| {
                    Recoveries::new(keep, most)
                })
            });
            web::Data::new(http::SocketIo { config, directory, recoveries })
        });
        let (worker_server, all_nodes) = (chat_server.clone(), nodes.clone());
        let poller =
            ChangePoller::new(store.clone(), chat_server, poll_metrics, poll, &timings).await?;
        let mut server = HttpServer::new(move || {
            // Runs once on each worker's thread, before it takes connections: rooms live there too.
            let worker = Arbiter::current();
            let state = web::Data::new(State {
                app: AppState::on(&worker, Arc::clone(&parts)),
                clock: SessionClock::start(heartbeat),
                settings: Arc::clone(&settings),
                metrics: Arc::clone(&metrics),
                origins: Arc::clone(&origins),
                addresses: Arc::clone(&addresses),
                nodes: all_nodes.clone(),
            });
            worker_server.do_send(AddWorker(worker));
            App::new().configure(http::configure(state, front.clone(), pages.clone()))
        })
        .backlog(backlog)
        .keep_alive(keep_alive)
        // Without it a delivery waits up to 40 ms for a delayed ack as soon as two are in flight.
        .tcp_nodelay(true)
        .on_connect(move |connection, _| {
            if let Some(stream) = http::tcp_stream(connection)
                && let Err(error) = http::watch_peer(stream, heartbeat)
            {
                log::warn!("cannot set TCP keepalive, so dead peers stay: {error}");
            }
        })
        // A client that goes away while it waits ends its request: what would be its answer is not
        // lost with it.
        .h1_allow_half_closed(false)
        // A connection ends as soon as its last answer is written: a client that waits for the end
        // of a closed WebSocket does not wait longer. The rest of a refused request's body is read
        // before its answer (`http::connection::drain`).
        .client_disconnect_timeout(Duration::ZERO)
        .disable_signals()
        .shutdown_timeout(plan.requests());
        if workers > 0 {
            server = server.workers(workers);
        }
        let server = match &certificate {
            Some(certificate) => {
                let config = certificate.server_config().map_err(anyhow::Error::msg)?;
                server.bind_rustls_0_23(&bind, config)
            }
            None => server.bind(&bind),
        };
        let server = server.with_context(|| format!("cannot listen on {bind} (server.bind)"))?;
        let address = *server.addrs().first().context("server.bind names no address")?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        log::info!("listening on {scheme}://{address}");
        log::info!("database: {}", store.describe());
        log::info!("built-in accounts: {accounts_in_words}");
        let backplane = match (redis, notifications) {
            (Some(redis), _) => {
                let name = redis.describe();
                reading.spawn(redis.run(port));
                name
            }
            (None, Some(notifications)) => {
                reading.spawn(PostgresDriver::new(notifications, node).run(port));
                "PostgreSQL's notifications".to_owned()
            }
            (None, None) => {
                reading.spawn(LocalNetwork::default().run(node, port));
                "none".to_owned()
            }
        };
        let every = poll.as_millis();
        log::info!("node {node}; backplane: {backplane}, and the database polled every {every} ms");
        log::info!(
            "broker: {}",
            bus.as_ref().map_or("none".to_owned(), |bus| bus.broker().describe())
        );
        if let Some(bus) = &bus {
            bus.start(bus_parts, &nodes);
            reading.spawn(outbox::watch(store, gauges));
        }
        if let Some(reader) = key_reader {
            reading.spawn(reader.run());
        }
        reading.spawn(nodes.clone().run(between(events)));
        reading.spawn(publish_news(nodes.clone(), news));
        reading.spawn(poller.run(seen_commits, heard));
        Ok(Self {
            server: server.run(),
            port: address.port(),
            handle,
            plan,
            stage,
            metrics: shown,
            arbiters: [Some(reading), Some(control), passwords].into_iter().flatten().collect(),
            bus,
            nodes,
            last_seen,
            demo_key,
            certificate,
        })
    }

    /// The port that is really bound.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http`, or `https` with a certificate.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }

    /// The key for the demo's address; `None` where the demo is off. Only for who started the server.
    #[must_use]
    pub fn demo_key(&self) -> Option<&Secret> {
        self.demo_key.as_ref()
    }

    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until SIGTERM, SIGINT or [`Handle::stop`]; then leaves (`leaving`).
    ///
    /// # Errors
    /// A failure of the listening socket.
    pub async fn run_until_stopped(self) -> anyhow::Result<Stopped> {
        let Self { server, handle, plan, stage, metrics, arbiters, .. } = self;
        let (bus, nodes, last_seen) = (self.bus, self.nodes, self.last_seen);
        let mut signals = Signals::new(self.certificate);
        let running = server.handle();
        let mut stages = stage.subscribe();
        let chat_server = handle.chat_server.clone();
        let leave = async move {
            tokio::select! {
                () = signals.next() => {}
                () = handle.stop.notified() => {}
            }
            actix::spawn(async move {
                leaving::leave(plan, stage, chat_server, running, &metrics).await;
            });
            signals.next().await;
        };
        let time_is_over = async move {
            // The sender lives as long as the phases; without it nobody leaves.
            if stages.wait_for(|stage| *stage > Stage::Serving).await.is_err() {
                return std::future::pending().await;
            }
            actix::clock::sleep(plan.most).await;
        };
        let end = async {
            server.await?;
            nodes.leave().await;
            if !matches!(timeout(FLUSH_TIMEOUT, last_seen.send(FlushSeen)).await, Ok(Ok(()))) {
                log::warn!("cannot write when users were last seen");
            }
            if let Some(bus) = &bus {
                bus.stop().await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            ended = end => ended?,
            () = time_is_over => {
                log::warn!("server.shutdown_timeout is over: whatever is open is cut off");
            }
            () = leave => {
                log::warn!("a second signal: stopped at once");
                return Ok(Stopped::AtOnce);
            }
        }
        for arbiter in &arbiters {
            arbiter.stop();
        }
        log::info!("stopped");
        Ok(Stopped::Well)
    }
}

fn parts(
    (settings, timings): (&Settings, Timings),
    verifier: Verifier,
    (store, metrics): (&Store, &Arc<Metrics>),
    (reading, control): (&ArbiterHandle, &ArbiterHandle),
    (integrations, feeds): (Option<Integrations>, (Arc<CommitFeed>, Arc<PeerFeed>)),
    stage: watch::Receiver<Stage>,
) -> AppParts {
    let (limits, database) = (&settings.limits, &settings.database);
    let reader = PageReader::start_in_arbiter(reading, {
        let (store, metrics) = (store.clone(), Arc::clone(metrics));
        move |_| PageReader::new(store, metrics)
    });
    let user_admission = UserAdmission::start_in_arbiter(reading, {
        let (store, metrics) = (store.clone(), Arc::clone(metrics));
        let rate = RateSettings { per_second: limits.messages_per_second, burst: limits.burst };
        move |_| UserAdmission::new(store, metrics, rate)
    });
    let last_seen = LastSeen::start_in_arbiter(reading, {
        let (store, metrics) = (store.clone(), Arc::clone(metrics));
        move |_| LastSeen::new(store, metrics)
    });
    let parts = ChatServerParts {
        store: store.clone(),
        reader,
        metrics: Arc::clone(metrics),
        executors: database.executors(),
        backlog: database.queue,
        batch: BatchLimits { rows: database.batch_rows, bytes: database.batch_bytes },
        room: RoomLimits {
            posts: limits.room_posts,
            replay: i64::try_from(limits.replay).unwrap_or(i64::MAX),
        },
        timings,
        sessions_per_user: limits.sessions_per_user,
        presence_grace: limits.presence_grace(),
        last_seen: last_seen.clone().recipient(),
        presence: integrations.as_ref().map(|integrations| integrations.presence.clone()),
        commits: feeds.0,
        peers: feeds.1,
    };
    let routes = integrations.as_ref().map(|integrations| Routes {
        by_event: Arc::clone(&integrations.routes),
        most_bytes: integrations.most_bytes,
    });
    let chat_server = ChatServer::start_in_arbiter(control, move |_| ChatServer::new(parts));
    AppParts {
        node: NodeId::random(),
        store: store.clone(),
        verifier,
        accounts: None,
        chat_server,
        user_admission,
        last_seen,
        sessions: SessionConfig::new(limits, &timings, settings.server.drain_window(), routes),
        limits: limits.clone(),
        timings,
        metrics: Arc::clone(metrics),
        stage,
        handshakes: Arc::new(HandshakeLimits::new(limits, Arc::clone(metrics))),
        attempts: AttemptLimits::new(limits, Arc::clone(metrics)),
        integrations,
    }
}
