//! Clients that write all the time and never give up: each keeps what it received, and comes back to
//! another node as the protocol says.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::deployment::Draw;
use super::{Database, Node, Person, admin, all, customer};

type Socket = WebSocketStream<TcpStream>;

/// Customers; each has a device that writes and one that listens. An agent writes to all.
const CUSTOMERS: usize = 3;
/// Pause of a client between two messages.
const RHYTHM: Duration = Duration::from_millis(25);
/// Messages of a client that wait for their acks.
const IN_FLIGHT: usize = 4;
/// Three heartbeats of these nodes: a node that says nothing for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(9);
/// For the answer of a node to a probe, and to a handshake.
const ANSWER: Duration = Duration::from_secs(5);
/// Pause before the next node is tried.
const RETRY: Duration = Duration::from_millis(50);
/// Until all have everything, at most.
const WHOLE: Duration = Duration::from_secs(60);

/// Settings of the nodes under [`Load`]. A slow machine has the time to notice that a node leaves.
pub const SETTINGS: [(&str, &str); 7] = [
    ("server.workers", "1"),
    ("database.pool_size", "2"),
    ("limits.heartbeat_ms", "3000"),
    ("limits.replay", "100000"),
    ("server.shutdown_timeout", "10"),
    ("server.drain_wait_ms", "2000"),
    ("server.drain_window_ms", "500"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Write,
    Drain,
    Stop,
}

/// A client's progress.
#[derive(Debug, Clone, Default)]
struct Standing {
    /// The last `seq` of each chat.
    positions: BTreeMap<i64, i64>,
    /// It writes nothing new, and waits for no ack.
    is_done: bool,
}

/// Everything that a client received.
#[derive(Debug, Default)]
struct Kept {
    /// The `clientId` of every message, by chat and `seq`; of an own one its ack's.
    messages: BTreeMap<(i64, i64), String>,
    acked: BTreeMap<String, (i64, i64)>,
    doubled: usize,
    out_of_order: usize,
    /// Handshakes that a ready node did not take.
    refused: usize,
    /// Ends of sessions, with and without `goodbye`.
    goodbyes: usize,
    losses: usize,
    /// The longest time without a session, less what a `goodbye` asked for.
    longest: Duration,
}

/// All clients at work.
pub struct Load {
    phase: watch::Sender<Phase>,
    clients: Vec<(watch::Receiver<Standing>, JoinHandle<Kept>)>,
    chats: Vec<i64>,
    agent: Person,
}

/// Faults of delivery.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub lost: usize,
    pub doubled: usize,
    pub out_of_order: usize,
}

/// The outcome for all clients.
#[derive(Debug)]
pub struct Fared {
    pub count: Count,
    pub messages: usize,
    pub refused: usize,
    pub goodbyes: usize,
    pub losses: usize,
}

impl Load {
    /// Starts all clients, at nodes that are reached at `addresses`.
    pub async fn start(addresses: Vec<SocketAddr>) -> Self {
        let first = Node::elsewhere(addresses[0]);
        let addresses: Arc<[SocketAddr]> = addresses.into();
        let draw = Arc::new(Draw::announced("clients that write"));
        let (phase, phases) = watch::channel(Phase::Write);
        let agent = admin("ada");
        let (mut people, mut chats) = (Vec::new(), Vec::new());
        for n in 0..CUSTOMERS {
            let person = customer(&format!("kim-{n}"));
            let chat = first.connect(&person).await.chat();
            chats.push(chat);
            people.push((person.clone(), vec![chat], true));
            people.push((person, vec![chat], false));
        }
        people.push((agent.clone(), chats.clone(), true));
        let clients = people.into_iter().enumerate().map(|(n, (person, chats, writes))| {
            let positions: BTreeMap<_, _> = chats.iter().map(|chat| (*chat, 0)).collect();
            let standing = Standing { positions: positions.clone(), is_done: false };
            let (standing, stands) = watch::channel(standing);
            let client = Steady {
                name: format!("{}.{n}", person.subject),
                person,
                writes,
                positions,
                chats,
                addresses: Arc::clone(&addresses),
                draw: Arc::clone(&draw),
                at: usize::MAX,
                is_draining: false,
                sent: 0,
                unacked: VecDeque::new(),
                refused: VecDeque::new(),
                standing,
                kept: Kept::default(),
            };
            (stands, tokio::spawn(client.run(phases.clone())))
        });
        let clients = clients.collect();
        Self { phase, clients, chats, agent }
    }

    /// Waits until each chat has `count` more messages, and everybody has them.
    pub async fn goes_on(&self, database: &Database, count: i64) {
        let heads = self.heads(database).await;
        self.reach(heads.into_iter().map(|(chat, seq)| (chat, seq + count)).collect()).await;
    }

    /// Waits until everybody has all that is in the log now; prints how long that took.
    #[expect(clippy::print_stdout, reason = "a figure to be read, not to be asserted")]
    pub async fn is_whole(&self, database: &Database, after: &str) {
        let began = Instant::now();
        self.reach(self.heads(database).await).await;
        println!("{after}: whole after {} ms", began.elapsed().as_millis());
    }

    async fn heads(&self, database: &Database) -> BTreeMap<i64, i64> {
        let client = database.connect().await;
        let rows = client.query("SELECT id, last_seq FROM chats", &[]).await.expect("chats");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    async fn reach(&self, heads: BTreeMap<i64, i64>) {
        for (standing, _) in &self.clients {
            let mut standing = standing.clone();
            let reached = standing.wait_for(|standing| {
                standing.positions.iter().all(|(chat, at)| *at >= heads[chat])
            });
            let reached = timeout(WHOLE, reached).await.map(|reached| reached.is_ok());
            assert!(
                reached == Ok(true),
                "not at {heads:?} after {WHOLE:?}: {:?}",
                self.standings()
            );
        }
    }

    fn standings(&self) -> Vec<Standing> {
        self.clients.iter().map(|(standing, _)| standing.borrow().clone()).collect()
    }

    /// Lets the clients come to their end, and holds what they kept against the log.
    #[expect(clippy::print_stdout, reason = "figures to be read, not to be asserted")]
    pub async fn counted(self, database: &Database, node: &Node) -> Fared {
        self.phase.send_replace(Phase::Drain);
        for (standing, _) in &self.clients {
            let mut standing = standing.clone();
            let done = standing.wait_for(|standing| standing.is_done);
            let done = timeout(WHOLE, done).await.map(|done| done.is_ok());
            assert!(done == Ok(true), "not all was acked: {:?}", self.standings());
        }
        self.reach(self.heads(database).await).await;
        self.phase.send_replace(Phase::Stop);
        let Self { clients, chats, agent, .. } = self;
        let kept = all(clients.into_iter().map(|(_, client)| client)).await;
        let kept: Vec<Kept> = kept.into_iter().map(|kept| kept.expect("a client ends")).collect();

        let mut log = BTreeMap::new();
        let mut count = Count::default();
        for chat in &chats {
            for (at, message) in (1..).zip(node.history(&agent, *chat).await) {
                count.out_of_order += usize::from(message["seq"] != at);
                let name = message["clientId"].as_str().expect("a name").to_owned();
                log.insert((*chat, at), name);
            }
        }
        let mut names: Vec<_> = log.values().collect();
        names.sort_unstable();
        names.dedup();
        count.doubled += log.len() - names.len();
        for kept in &kept {
            count.doubled += kept.doubled;
            count.out_of_order += kept.out_of_order;
            let acked = kept.acked.iter();
            count.lost += acked.filter(|(name, at)| log.get(at) != Some(name)).count();
            let mine = kept.messages.keys().map(|(chat, _)| *chat);
            let mine: std::collections::BTreeSet<_> = mine.collect();
            let meant = log.iter().filter(|((chat, _), _)| mine.contains(chat));
            count.lost += meant.filter(|(at, name)| kept.messages.get(at) != Some(name)).count();
        }
        let sum = |part: fn(&Kept) -> usize| kept.iter().map(part).sum();
        let fared = Fared {
            count,
            messages: log.len(),
            refused: sum(|kept| kept.refused),
            goodbyes: sum(|kept| kept.goodbyes),
            losses: sum(|kept| kept.losses),
        };
        let longest = kept.iter().map(|kept| kept.longest).max().unwrap_or_default();
        println!("{fared:?}; without a session for {} ms at most", longest.as_millis());
        fared
    }
}

/// The end of a session.
enum End {
    /// With `goodbye`, and the time after which to come back.
    Goodbye(Duration),
    Lost,
    Stopped,
}

/// Waits until all is to stop.
async fn stopped(phase: &mut watch::Receiver<Phase>) {
    // Nobody is there to wait for the client, if the sender is gone.
    let _ = phase.wait_for(|phase| *phase == Phase::Stop).await;
}

struct Steady {
    name: String,
    person: Person,
    writes: bool,
    chats: Vec<i64>,
    positions: BTreeMap<i64, i64>,
    addresses: Arc<[SocketAddr]>,
    draw: Arc<Draw>,
    /// The node of the last session.
    at: usize,
    is_draining: bool,
    sent: usize,
    /// Names and chats, in the order in which they were first sent.
    unacked: VecDeque<(String, i64)>,
    /// Those of them that are to be sent again.
    refused: VecDeque<(String, i64)>,
    standing: watch::Sender<Standing>,
    kept: Kept,
}

impl Steady {
    async fn run(mut self, mut phase: watch::Receiver<Phase>) -> Kept {
        let mut without = None;
        loop {
            let socket = tokio::select! {
                socket = self.connect() => socket,
                () = stopped(&mut phase) => return self.kept,
            };
            if let Some(since) = without {
                self.kept.longest = self.kept.longest.max(Instant::now().duration_since(since));
            }
            match self.session(socket, &mut phase).await {
                End::Stopped => return self.kept,
                End::Lost => {
                    self.kept.losses += 1;
                    without = Some(Instant::now());
                }
                End::Goodbye(wait) => {
                    self.kept.goodbyes += 1;
                    sleep(wait).await;
                    without = Some(Instant::now());
                }
            }
        }
    }

    /// Connects to another node that is ready, as a balancer would lead it there.
    async fn connect(&mut self) -> Socket {
        loop {
            let at = self.draw.below(self.addresses.len());
            if at == self.at {
                continue;
            }
            let node = Node::elsewhere(self.addresses[at]);
            let ready = timeout(ANSWER, node.try_get("/readyz")).await;
            if ready.is_ok_and(|reply| reply.is_some_and(|reply| reply.status == 200)) {
                if let Ok(Some(socket)) = timeout(ANSWER, self.handshake(&node)).await {
                    self.at = at;
                    return socket;
                }
                self.kept.refused += 1;
            }
            // The last one may be the only one left.
            self.at = usize::MAX;
            sleep(RETRY).await;
        }
    }

    async fn handshake(&mut self, node: &Node) -> Option<Socket> {
        let resume = self.positions.iter().map(|(chat, at)| format!("{chat}:{at}"));
        let resume = resume.collect::<Vec<_>>().join(",");
        let stream = TcpStream::connect(node.address()).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let request = node
            .connecting()
            .bearer(&self.person.token())
            .query(&format!("resume={resume}"))
            .request();
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.ok()?;
        loop {
            let Message::Text(text) = socket.next().await?.ok()? else { continue };
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            if frame["event"] != "welcome" {
                return None;
            }
            for entry in frame["data"]["chats"].as_array().expect("chats") {
                assert_eq!(entry["reset"], false, "{entry}");
                assert_eq!(entry["truncated"], false, "{entry}");
            }
            return Some(socket);
        }
    }

    async fn session(&mut self, mut socket: Socket, phase: &mut watch::Receiver<Phase>) -> End {
        let (mut end, mut heard) = (End::Lost, Instant::now());
        let mut rhythm = interval(RHYTHM);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // In their order, before anything new.
        self.refused = self.unacked.clone();
        loop {
            let writes = self.writes && *phase.borrow() == Phase::Write;
            self.is_draining = *phase.borrow() == Phase::Drain;
            self.tell();
            tokio::select! {
                message = socket.next() => {
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            let frame: Value = serde_json::from_str(&text).expect("JSON");
                            if let Some(wait) = self.hear(&frame) {
                                end = End::Goodbye(wait);
                            }
                        }
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return end,
                        Some(Ok(_)) => {}
                    }
                    heard = Instant::now();
                }
                () = sleep_until(heard + SILENCE) => return end,
                _ = rhythm.tick() => {
                    if let Some(text) = self.next(writes)
                        && socket.send(Message::text(text)).await.is_err()
                    {
                        return end;
                    }
                }
                () = stopped(phase) => return End::Stopped,
            }
        }
    }

    /// The next message to be sent: one again, or a new one.
    fn next(&mut self, writes: bool) -> Option<String> {
        let (name, chat) = match self.refused.pop_front() {
            Some(again) => again,
            None if writes && self.unacked.len() < IN_FLIGHT => {
                self.sent += 1;
                let chat = self.chats[self.sent % self.chats.len()];
                let new = (format!("{} {}", self.name, self.sent), chat);
                self.unacked.push_back(new.clone());
                new
            }
            None => return None,
        };
        let data = json!({"chatId": chat, "message": name, "clientId": name});
        Some(json!({"event": "send_message", "id": name, "data": data}).to_string())
    }

    /// Takes a frame; the time of a `goodbye`.
    fn hear(&mut self, frame: &Value) -> Option<Duration> {
        let data = &frame["data"];
        let place = || {
            let (chat, seq) = (data["chatId"].as_i64(), data["seq"].as_i64());
            (chat.expect("a chat"), seq.expect("a seq"))
        };
        let name = || data["clientId"].as_str().expect("a name").to_owned();
        match frame["event"].as_str() {
            Some("receive_message") => self.keep(place(), name()),
            Some("ack") => {
                let name = name();
                self.unacked.retain(|(unacked, _)| *unacked != name);
                self.kept.acked.insert(name.clone(), place());
                if data["duplicate"] == false {
                    self.keep(place(), name);
                }
            }
            Some("exception") => {
                assert_eq!(data["code"], "unavailable", "{frame}");
                let again = self.unacked.iter().find(|(name, _)| frame["id"] == *name);
                self.refused.extend(again.cloned());
            }
            Some("goodbye") => {
                assert_eq!(data["reason"], "shutdown", "{frame}");
                return data["retryAfterMs"].as_u64().map(Duration::from_millis);
            }
            _ => {}
        }
        None
    }

    fn keep(&mut self, (chat, seq): (i64, i64), name: String) {
        let at = self.positions.entry(chat).or_default();
        match seq.cmp(&(*at + 1)) {
            std::cmp::Ordering::Less => self.kept.doubled += 1,
            std::cmp::Ordering::Greater => self.kept.out_of_order += 1,
            std::cmp::Ordering::Equal => {}
        }
        *at = seq.max(*at);
        self.kept.messages.insert((chat, seq), name);
    }

    fn tell(&self) {
        let is_done = self.is_draining && self.unacked.is_empty();
        self.standing.send_replace(Standing { positions: self.positions.clone(), is_done });
    }
}
