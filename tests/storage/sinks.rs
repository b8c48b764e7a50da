//! Sinks of the outbox: each gets every event in order, and none waits for another.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

use frontdesk::db::{Config, Mark, Store};
use frontdesk::domain::{ChatId, OrderingKey, OutboxEvent, Seq, UserId};
use frontdesk::outbox::{Outcome, Pace, Ready, Relay, RelayExit, Report, Sink};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::contract;
use crate::fixture::{Fixture, identity, note, raise, write};

contract! {
    a_sink_that_refuses_everything_holds_no_other_back_and_gets_all_of_it_later,
    a_sink_that_never_answers_holds_no_other_back,
    a_sink_gets_nothing_twice_when_its_node_starts_again,
    a_sink_that_is_removed_holds_no_rows,
    two_sinks_that_take_the_same_rows_at_once_leave_none,
}

/// Deadline of an event on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Behaviour of a sink in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Takes,
    Refuses,
    Hangs,
}

/// A sink in memory: the events that it took, in the order in which it took them.
#[derive(Clone)]
struct Memory {
    name: &'static str,
    mode: watch::Sender<Mode>,
    /// Number of events that it refused.
    tried: watch::Sender<usize>,
    events: watch::Sender<Vec<Taken>>,
}

/// An event: its key, the number of the message that it tells of or 0, and its id.
type Taken = (OrderingKey, i64, String);

impl Memory {
    fn new(name: &'static str, mode: Mode) -> Self {
        Self {
            name,
            mode: watch::Sender::new(mode),
            tried: watch::Sender::new(0),
            events: watch::Sender::new(Vec::new()),
        }
    }

    /// Waits until it took so many events.
    async fn has(&self, events: usize) {
        reaches(&self.events, |taken| taken.len() >= events).await;
    }

    /// Waits until it got so many events to refuse.
    async fn tried(&self, events: usize) {
        reaches(&self.tried, |tried| *tried >= events).await;
    }

    /// The messages of each chat, by their numbers, as they were taken.
    fn chats(&self) -> BTreeMap<ChatId, Vec<i64>> {
        let mut chats: BTreeMap<ChatId, Vec<i64>> = BTreeMap::new();
        for (key, seq, _) in &*self.events.borrow() {
            if let OrderingKey::Chat(chat) = key
                && *seq > 0
            {
                chats.entry(*chat).or_default().push(*seq);
            }
        }
        chats
    }

    fn ids(&self) -> Vec<String> {
        self.events.borrow().iter().map(|(.., id)| id.clone()).collect()
    }
}

async fn reaches<T: std::fmt::Debug>(value: &watch::Sender<T>, is_there: impl FnMut(&T) -> bool) {
    let mut value = value.subscribe();
    let is_reached = tokio::time::timeout(PATIENCE, value.wait_for(is_there)).await.is_ok();
    assert!(is_reached, "no more than {:?} came", *value.borrow());
}

impl Sink for Memory {
    fn name(&self) -> &str {
        self.name
    }

    async fn claim(&mut self) -> Result<(), RelayExit> {
        Ok(())
    }

    async fn release(&mut self) {}

    async fn publish(&mut self, batch: &[Ready<'_>]) -> Report {
        let mode = *self.mode.borrow();
        if mode == Mode::Hangs {
            let _ = self.mode.subscribe().wait_for(|mode| *mode != Mode::Hangs).await;
        }
        let mut outcomes = Vec::new();
        for ready in batch {
            outcomes.push(if mode == Mode::Refuses {
                self.tried.send_modify(|tried| *tried += 1);
                let (rest, why) = (Duration::ZERO, "it refuses everything".to_owned());
                Outcome::Refused { missing: vec![0], rest, why }
            } else {
                let seq = match &ready.entry.event {
                    OutboxEvent::MessageCreated(message) => message.seq.0,
                    _ => 0,
                };
                let event = (ready.key, seq, ready.entry.event_id.clone());
                self.events.send_modify(|taken| taken.push(event));
                Outcome::Published
            });
        }
        Report { outcomes, exit: None }
    }

    async fn repair(&mut self) {}

    fn check(&self) -> Result<(), RelayExit> {
        Ok(())
    }

    fn stalled(&self) -> String {
        "another has it".to_owned()
    }
}

async fn store_with(fixture: &Fixture, sinks: &[&str]) -> Store {
    let sinks = sinks.iter().map(|&sink| sink.to_owned()).collect();
    Store::connect(&Config { sinks, ..fixture.config.clone() }).await.expect("connect")
}

/// Runs a test beside the relays of these sinks.
fn beside<'a, T: 'a>(
    store: &Store,
    sinks: &[&Memory],
    test: impl Future<Output = T> + 'a,
) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    // A batch that is smaller than what waits: it is read again and again.
    let pace = Pace { batch: 7, poll: Duration::from_millis(20) };
    let local = LocalSet::new();
    for &sink in sinks {
        local.spawn_local(Relay::new(sink.clone(), store.clone(), pace).run());
    }
    Box::pin(async move { local.run_until(test).await })
}

/// Two chats with 40 messages each, by turns, one of them read: with those of their users 85
/// events.
async fn a_busy_day(store: &Store) -> [ChatId; 2] {
    let admitted = store.admit(vec![identity("kim"), identity("lee")]).await.unwrap();
    let people: Vec<(UserId, ChatId)> =
        admitted.iter().map(|admitted| (admitted.user.id, admitted.chats[0].chat_id)).collect();
    let mut writer = store.writer().await.unwrap();
    for _ in 0..10 {
        let notes = (0..8).map(|n| note(people[n % 2].1, people[n % 2].0, "hi")).collect();
        write(&mut writer, notes).await;
    }
    let mark = Mark { chat_id: people[0].1, user_id: people[1].0, seq: Seq(3) };
    raise(&mut writer, vec![mark]).await[0].unwrap();
    [people[0].1, people[1].1]
}

const EVENTS: usize = 85;

#[track_caller]
fn has_all_in_order(sink: &Memory, chats: [ChatId; 2]) {
    let all: Vec<i64> = (1..=40).collect();
    let expected = BTreeMap::from([(chats[0], all.clone()), (chats[1], all)]);
    assert_eq!(sink.chats(), expected, "{}", sink.name);
    let ids = sink.ids();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), EVENTS, "{}", sink.name);
    assert_eq!(ids.len(), EVENTS, "{} got an event twice", sink.name);
}

/// The rows that are due: to every sink, and to each.
async fn due(fixture: &Fixture) -> Vec<String> {
    let sql = "SELECT 'all ' || count(*) AS line FROM outbox HAVING count(*) > 0
               UNION ALL
               SELECT sink || ' ' || count(*) AS line FROM outbox_deliveries GROUP BY sink
               ORDER BY line";
    fixture.lines(sql).await
}

/// Waits until these rows are due and no others.
async fn is_due(fixture: &Fixture, expected: &[&str]) {
    let reached = tokio::time::timeout(PATIENCE, async {
        while due(fixture).await != expected {
            tokio::task::yield_now().await;
        }
    });
    let reached = reached.await;
    assert!(reached.is_ok(), "due are {:?}, and not {expected:?}", due(fixture).await);
}

async fn a_sink_that_refuses_everything_holds_no_other_back_and_gets_all_of_it_later(
    fixture: Fixture,
) {
    let store = store_with(&fixture, &["good", "dead"]).await;
    let (good, dead) = (Memory::new("good", Mode::Takes), Memory::new("dead", Mode::Refuses));
    beside(&store, &[&good, &dead], async {
        let chats = a_busy_day(&store).await;
        good.has(EVENTS).await;
        has_all_in_order(&good, chats);
        dead.tried(4).await;
        is_due(&fixture, &["dead 85"]).await;
        assert_eq!(store.outbox_state().await.unwrap().waiting, EVENTS as i64);
        assert_eq!(dead.ids(), [""; 0]);

        dead.mode.send_replace(Mode::Takes);
        dead.has(EVENTS).await;
        has_all_in_order(&dead, chats);
        is_due(&fixture, &[]).await;
        has_all_in_order(&good, chats);
    })
    .await;
}

async fn a_sink_that_never_answers_holds_no_other_back(fixture: Fixture) {
    let store = store_with(&fixture, &["good", "slow"]).await;
    let (good, slow) = (Memory::new("good", Mode::Takes), Memory::new("slow", Mode::Hangs));
    beside(&store, &[&good, &slow], async {
        let chats = a_busy_day(&store).await;
        good.has(EVENTS).await;
        has_all_in_order(&good, chats);
        slow.mode.send_replace(Mode::Takes);
        slow.has(EVENTS).await;
        is_due(&fixture, &[]).await;
    })
    .await;
}

async fn a_sink_gets_nothing_twice_when_its_node_starts_again(fixture: Fixture) {
    let store = store_with(&fixture, &["good", "dead"]).await;
    let (good, dead) = (Memory::new("good", Mode::Takes), Memory::new("dead", Mode::Refuses));
    let chats = beside(&store, &[&good, &dead], async {
        let chats = a_busy_day(&store).await;
        is_due(&fixture, &["dead 85"]).await;
        chats
    })
    .await;
    let store = store_with(&fixture, &["good", "dead"]).await;
    dead.mode.send_replace(Mode::Takes);
    beside(&store, &[&good, &dead], is_due(&fixture, &[])).await;
    has_all_in_order(&good, chats);
    has_all_in_order(&dead, chats);
}

async fn a_sink_that_is_removed_holds_no_rows(fixture: Fixture) {
    let store = store_with(&fixture, &["good", "dead"]).await;
    let (good, dead) = (Memory::new("good", Mode::Takes), Memory::new("dead", Mode::Refuses));
    beside(&store, &[&good, &dead], async {
        a_busy_day(&store).await;
        is_due(&fixture, &["dead 85"]).await;
    })
    .await;
    let store = store_with(&fixture, &["good"]).await;
    assert_eq!(store.outbox_state().await.unwrap().waiting, 0, "it is nobody's");
    beside(&store, &[&good], async {
        is_due(&fixture, &[]).await;
        store.create_user("shop".into(), "moe".into(), None, None).await.unwrap();
        good.has(EVENTS + 1).await;
        is_due(&fixture, &[]).await;
    })
    .await;
}

async fn two_sinks_that_take_the_same_rows_at_once_leave_none(fixture: Fixture) {
    let one = store_with(&fixture, &["one", "two"]).await;
    let two = store_with(&fixture, &["one", "two"]).await;
    for round in 0..10 {
        let people = (0..20).map(|n| identity(&format!("{round} {n}"))).collect();
        one.admit(people).await.unwrap();
        let ids = |entries: Vec<frontdesk::db::OutboxEntry>| {
            entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
        };
        let (ones, twos) = (one.outbox("one", 100).await, two.outbox("two", 100).await);
        let (ones, twos) = (ids(ones.unwrap()), ids(twos.unwrap()));
        assert_eq!((ones.len(), &ones), (40, &twos));
        let (one, two) = tokio::join!(one.published("one", ones), two.published("two", twos));
        one.unwrap();
        two.unwrap();
        assert_eq!(due(&fixture).await, [""; 0]);
    }
}
