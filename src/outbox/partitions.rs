//! Partitioned retry queue: the next events, and the blocked ones, decided without a sink, a
//! database or a clock.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::db::OutboxEntry;
use crate::domain::OrderingKey;

/// The pause after a first failure, doubled by each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Batches that may be held for blocked keys. Beyond them, a blocked key delays the keys whose
/// events are younger than all of its own.
const MAX_BATCHES: usize = 10;

/// The pause after that many failures in a row.
pub fn pause(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// The outbox's events: in order within a key, the keys in parallel.
#[derive(Default)]
pub struct Partitions {
    /// Keys with events, by the age of the first.
    order: Vec<OrderingKey>,
    events: HashMap<OrderingKey, VecDeque<OutboxEntry>>,
    /// Keys whose first event was refused.
    blocked: HashMap<OrderingKey, Blocked>,
    /// Published events that are not deleted yet.
    published: HashSet<i64>,
}

struct Blocked {
    entry: i64,
    /// Indexes of the endpoints that lack the event.
    missing: Vec<usize>,
    failures: u32,
    until: Instant,
}

/// An event to be published now.
#[derive(Debug, Clone, Copy)]
pub struct Ready<'a> {
    pub key: OrderingKey,
    pub entry: &'a OutboxEntry,
    /// Indexes of the sink's endpoints that lack it; all of them at the first try.
    pub missing: Option<&'a [usize]>,
}

impl Partitions {
    /// Number of rows to read, so that a batch remains beside blocked rows: a key that waits, or
    /// whose events arrive faster than they are published, does not hide the others.
    pub fn limit(&self, batch: usize) -> usize {
        let waiting: usize = self.events.values().map(VecDeque::len).sum();
        batch.saturating_add(waiting).min(batch.saturating_mul(MAX_BATCHES))
    }

    /// Replaces the rows by those of a new read.
    pub fn fill(&mut self, entries: Vec<OutboxEntry>) {
        self.order.clear();
        self.events.clear();
        for entry in entries {
            if self.published.contains(&entry.id) {
                continue;
            }
            let key = entry.event.key();
            let queue = self.events.entry(key).or_default();
            if queue.is_empty() {
                self.order.push(key);
            }
            queue.push_back(entry);
        }
        let events = &self.events;
        self.blocked.retain(|key, blocked| {
            let first = events.get(key).and_then(VecDeque::front);
            first.is_some_and(|entry| entry.id == blocked.entry)
        });
    }

    /// The first event of each ready key, of the oldest `most` keys. Refused ones get the remaining
    /// room, and a quarter at least, so neither starves the other.
    pub fn ready(&self, now: Instant, most: usize) -> Vec<Ready<'_>> {
        let ready = self.order.iter().filter_map(|key| {
            let entry = self.events.get(key)?.front()?;
            let blocked = self.blocked.get(key);
            let may_go = blocked.is_none_or(|blocked| blocked.until <= now);
            let missing = blocked.map(|blocked| blocked.missing.as_slice());
            may_go.then_some(Ready { key: *key, entry, missing })
        });
        let (again, mut batch): (Vec<_>, Vec<_>) = ready.partition(|ready| ready.missing.is_some());
        batch.truncate(most - again.len().min(most / 4));
        let room = most - batch.len();
        batch.extend(again.into_iter().take(room));
        batch
    }

    /// The first event of a key was published: its next one is ready.
    pub fn confirmed(&mut self, key: OrderingKey) {
        self.blocked.remove(&key);
        let first = self.events.get_mut(&key).and_then(VecDeque::pop_front);
        self.published.extend(first.map(|entry| entry.id));
    }

    /// The first event of a key was refused by these endpoints: it is retried after a pause, and
    /// not before `rest` is over.
    pub fn refused(&mut self, key: OrderingKey, missing: Vec<usize>, now: Instant, rest: Duration) {
        let Some(entry) = self.events.get(&key).and_then(VecDeque::front) else { return };
        let failures = self.blocked.get(&key).map_or(0, |blocked| blocked.failures) + 1;
        let until = now + pause(failures).max(rest);
        self.blocked.insert(key, Blocked { entry: entry.id, missing, failures, until });
    }

    /// The published events, which can be deleted.
    pub fn published(&self) -> Vec<i64> {
        self.published.iter().copied().collect()
    }

    /// The published events are deleted.
    pub fn forget_published(&mut self) {
        self.published.clear();
    }

    /// Time at which the next blocked key may be retried, if any is blocked.
    pub fn next_try(&self) -> Option<Instant> {
        self.blocked.values().map(|blocked| blocked.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChatId, OutboxEvent, Seq, Timestamp, UserId};

    fn read(chat: i64, seq: i64) -> OutboxEntry {
        let event =
            OutboxEvent::MessageRead { chat_id: ChatId(chat), user_id: UserId(1), seq: Seq(seq) };
        let id = chat * 100 + seq;
        OutboxEntry { id, event_id: format!("e-{id}"), at: Timestamp(0), event }
    }

    fn key(chat: i64) -> OrderingKey {
        OrderingKey::Chat(ChatId(chat))
    }

    fn filled(entries: &[(i64, i64)]) -> Partitions {
        let mut partitions = Partitions::default();
        partitions.fill(entries.iter().map(|&(chat, seq)| read(chat, seq)).collect());
        partitions
    }

    fn ids(ready: &[Ready<'_>]) -> Vec<i64> {
        ready.iter().map(|ready| ready.entry.id).collect()
    }

    #[test]
    fn keys_go_side_by_side_and_within_one_each_waits_for_the_one_before() {
        let mut partitions = filled(&[(1, 1), (2, 1), (1, 2), (1, 3)]);
        let now = Instant::now();
        assert_eq!(ids(&partitions.ready(now, 9)), [101, 201]);
        assert_eq!(ids(&partitions.ready(now, 9)), [101, 201], "nothing was said of them");
        partitions.confirmed(key(1));
        partitions.confirmed(key(2));
        assert_eq!(ids(&partitions.ready(now, 9)), [102]);
        partitions.confirmed(key(1));
        partitions.confirmed(key(1));
        assert!(partitions.ready(now, 9).is_empty());
        let mut published = partitions.published();
        published.sort_unstable();
        assert_eq!(published, [101, 102, 103, 201]);
    }

    #[test]
    fn a_batch_has_its_bound_and_takes_the_oldest_first() {
        let partitions = filled(&[(3, 1), (1, 1), (2, 1)]);
        assert_eq!(ids(&partitions.ready(Instant::now(), 2)), [301, 101]);
    }

    #[test]
    fn a_key_that_is_refused_waits_and_keeps_no_other_from_going() {
        let mut partitions = filled(&[(1, 1), (2, 1), (1, 2), (2, 2)]);
        let now = Instant::now();
        partitions.refused(key(1), vec![1], now, Duration::ZERO);
        partitions.confirmed(key(2));
        assert_eq!(ids(&partitions.ready(now, 9)), [202]);
        assert_eq!(partitions.next_try(), Some(now + FIRST_PAUSE));
        let later = now + FIRST_PAUSE;
        let batch = partitions.ready(later, 9);
        assert_eq!(ids(&batch), [202, 101]);
        assert_eq!(batch[1].missing, Some(&[1][..]), "the others have it");
        partitions.refused(key(1), vec![1], later, Duration::ZERO);
        assert_eq!(partitions.next_try(), Some(later + 2 * FIRST_PAUSE));
        partitions.confirmed(key(1));
        assert_eq!(partitions.next_try(), None);
        assert_eq!(partitions.ready(later, 1)[0].missing, None, "the next one goes to all");
    }

    #[test]
    fn however_many_are_refused_the_others_go_and_they_are_tried_again() {
        let mut partitions = filled(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]);
        let now = Instant::now();
        for chat in 1..=4 {
            partitions.refused(key(chat), vec![0], now, Duration::ZERO);
        }
        let later = now + FIRST_PAUSE;
        assert_eq!(ids(&partitions.ready(later, 4)), [501, 601, 101, 201]);
        partitions.fill((1..=12).map(|chat| read(chat, 1)).collect());
        assert_eq!(ids(&partitions.ready(later, 4)), [501, 601, 701, 101]);
    }

    #[test]
    fn a_key_may_have_to_rest_longer_than_its_pause() {
        let mut partitions = filled(&[(1, 1)]);
        let (now, rest) = (Instant::now(), Duration::from_secs(60));
        partitions.refused(key(1), vec![0], now, rest);
        assert_eq!(partitions.next_try(), Some(now + rest));
    }

    #[test]
    fn a_key_that_waits_still_waits_when_the_outbox_is_read_again() {
        let mut partitions = filled(&[(1, 1), (2, 1)]);
        let now = Instant::now();
        partitions.refused(key(1), vec![0], now, Duration::ZERO);
        partitions.fill(vec![read(1, 1), read(1, 2), read(3, 1)]);
        assert_eq!(ids(&partitions.ready(now, 9)), [301]);
        // Another node has published it meanwhile.
        partitions.fill(vec![read(1, 2)]);
        assert_eq!(ids(&partitions.ready(now, 9)), [102]);
    }

    #[test]
    fn what_was_published_is_not_published_again_while_it_cannot_be_deleted() {
        let mut partitions = filled(&[(1, 1)]);
        partitions.confirmed(key(1));
        partitions.fill(vec![read(1, 1), read(1, 2)]);
        assert_eq!(ids(&partitions.ready(Instant::now(), 9)), [102]);
        partitions.forget_published();
        assert!(partitions.published().is_empty());
    }

    #[test]
    fn more_is_read_than_what_did_not_go_up_to_ten_batches() {
        let mut partitions = filled(&[(1, 1), (1, 2), (2, 1)]);
        partitions.confirmed(key(2));
        assert_eq!(partitions.limit(3), 5);
        partitions.fill((1..=40).map(|seq| read(1, seq)).collect());
        assert_eq!(partitions.limit(3), 30);
    }

    #[test]
    fn pauses_double_up_to_five_seconds() {
        let pauses: Vec<_> = [1, 2, 3, 6, 7, 99, u32::MAX].map(|n| pause(n).as_millis()).into();
        assert_eq!(pauses, [100, 200, 400, 3_200, 5_000, 5_000, 5_000]);
    }
}
