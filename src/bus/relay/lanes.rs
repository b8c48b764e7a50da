//! Which news are told next, and which wait: decided without a broker, a database or a clock.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::db::OutboxEntry;
use crate::domain::Lane;

/// How long is waited after a first failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What may be read in excess of a batch, for the lanes that wait, as batches. Beyond it one that
/// waits holds up those whose news are younger than all of its own.
const MOST_BATCHES: usize = 10;

/// How long to wait after so many failures in a row.
pub fn pause(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// What was read of the outbox: one after another within a lane, the lanes side by side.
#[derive(Default)]
pub struct Lanes {
    /// Those with news, by the age of the first.
    order: Vec<Lane>,
    news: HashMap<Lane, VecDeque<OutboxEntry>>,
    /// Those whose first news were refused.
    stuck: HashMap<Lane, Stuck>,
    told: HashSet<i64>,
}

struct Stuck {
    entry: i64,
    /// Who has not taken it yet, as places among the destinations.
    missing: Vec<usize>,
    failures: u32,
    until: Instant,
}

/// What is to be published now.
#[derive(Debug)]
pub struct Turn<'a> {
    pub lane: Lane,
    pub entry: &'a OutboxEntry,
    /// To whom, as places among the destinations; to all of them where it was not tried before.
    pub missing: Option<&'a [usize]>,
}

impl Lanes {
    /// How many rows to read, so that there is a batch beside those that did not go: a lane that waits,
    /// or whose news come faster than they are confirmed, does not hide the others.
    pub fn limit(&self, batch: usize) -> usize {
        let waiting: usize = self.news.values().map(VecDeque::len).sum();
        batch.saturating_add(waiting).min(batch.saturating_mul(MOST_BATCHES))
    }

    /// Takes what was read, in place of what was left of the last time.
    pub fn fill(&mut self, entries: Vec<OutboxEntry>) {
        self.order.clear();
        self.news.clear();
        for entry in entries {
            // Told, and only not deleted yet.
            if self.told.contains(&entry.id) {
                continue;
            }
            let lane = entry.news.lane();
            let queue = self.news.entry(lane).or_default();
            if queue.is_empty() {
                self.order.push(lane);
            }
            queue.push_back(entry);
        }
        let news = &self.news;
        self.stuck.retain(|lane, stuck| {
            let first = news.get(lane).and_then(VecDeque::front);
            first.is_some_and(|entry| entry.id == stuck.entry)
        });
    }

    /// The first of each lane that need not wait, those of the oldest lanes where there are more than
    /// `most`. Those that were refused before have what room the others leave, and a quarter at least:
    /// however many are refused, the others go.
    pub fn wave(&self, now: Instant, most: usize) -> Vec<Turn<'_>> {
        let turns = self.order.iter().filter_map(|lane| {
            let entry = self.news.get(lane)?.front()?;
            let stuck = self.stuck.get(lane);
            let may_go = stuck.is_none_or(|stuck| stuck.until <= now);
            let missing = stuck.map(|stuck| stuck.missing.as_slice());
            may_go.then_some(Turn { lane: *lane, entry, missing })
        });
        let (again, mut wave): (Vec<_>, Vec<_>) = turns.partition(|turn| turn.missing.is_some());
        wave.truncate(most - again.len().min(most / 4));
        let room = most - wave.len();
        wave.extend(again.into_iter().take(room));
        wave
    }

    /// The first of a lane was taken by everyone: the next has its turn.
    pub fn confirmed(&mut self, lane: Lane) {
        self.stuck.remove(&lane);
        let first = self.news.get_mut(&lane).and_then(VecDeque::pop_front);
        self.told.extend(first.map(|entry| entry.id));
    }

    /// The first of a lane was not taken by those: it is published to them again, after a pause, and no
    /// sooner than after `rest`.
    pub fn refused(&mut self, lane: Lane, missing: Vec<usize>, now: Instant, rest: Duration) {
        let Some(entry) = self.news.get(&lane).and_then(VecDeque::front) else { return };
        let failures = self.stuck.get(&lane).map_or(0, |stuck| stuck.failures) + 1;
        let until = now + pause(failures).max(rest);
        self.stuck.insert(lane, Stuck { entry: entry.id, missing, failures, until });
    }

    /// What was taken by everyone, and can be deleted.
    pub fn told(&self) -> Vec<i64> {
        self.told.iter().copied().collect()
    }

    /// What was told is deleted.
    pub fn forget_told(&mut self) {
        self.told.clear();
    }

    /// When the next of those that wait may be tried; none where none waits.
    pub fn next_try(&self) -> Option<Instant> {
        self.stuck.values().map(|stuck| stuck.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChatId, News, Seq, Timestamp, UserId};

    fn read(chat: i64, seq: i64) -> OutboxEntry {
        let news = News::MessageRead { chat_id: ChatId(chat), user_id: UserId(1), seq: Seq(seq) };
        let id = chat * 100 + seq;
        OutboxEntry { id, event_id: format!("e-{id}"), at: Timestamp(0), news }
    }

    fn lane(chat: i64) -> Lane {
        Lane::Chat(ChatId(chat))
    }

    fn filled(entries: &[(i64, i64)]) -> Lanes {
        let mut lanes = Lanes::default();
        lanes.fill(entries.iter().map(|&(chat, seq)| read(chat, seq)).collect());
        lanes
    }

    fn ids(turns: &[Turn<'_>]) -> Vec<i64> {
        turns.iter().map(|turn| turn.entry.id).collect()
    }

    #[test]
    fn lanes_go_side_by_side_and_within_one_each_waits_for_the_one_before() {
        let mut lanes = filled(&[(1, 1), (2, 1), (1, 2), (1, 3)]);
        let now = Instant::now();
        assert_eq!(ids(&lanes.wave(now, 9)), [101, 201]);
        assert_eq!(ids(&lanes.wave(now, 9)), [101, 201], "nothing was said of them");
        lanes.confirmed(lane(1));
        lanes.confirmed(lane(2));
        assert_eq!(ids(&lanes.wave(now, 9)), [102]);
        lanes.confirmed(lane(1));
        lanes.confirmed(lane(1));
        assert!(lanes.wave(now, 9).is_empty());
        let mut told = lanes.told();
        told.sort_unstable();
        assert_eq!(told, [101, 102, 103, 201]);
    }

    #[test]
    fn a_wave_has_its_bound_and_takes_the_oldest_first() {
        let lanes = filled(&[(3, 1), (1, 1), (2, 1)]);
        assert_eq!(ids(&lanes.wave(Instant::now(), 2)), [301, 101]);
    }

    #[test]
    fn a_lane_that_is_refused_waits_and_keeps_no_other_from_going() {
        let mut lanes = filled(&[(1, 1), (2, 1), (1, 2), (2, 2)]);
        let now = Instant::now();
        lanes.refused(lane(1), vec![1], now, Duration::ZERO);
        lanes.confirmed(lane(2));
        assert_eq!(ids(&lanes.wave(now, 9)), [202]);
        assert_eq!(lanes.next_try(), Some(now + FIRST_PAUSE));
        let later = now + FIRST_PAUSE;
        let wave = lanes.wave(later, 9);
        assert_eq!(ids(&wave), [202, 101]);
        assert_eq!(wave[1].missing, Some(&[1][..]), "the others have it");
        lanes.refused(lane(1), vec![1], later, Duration::ZERO);
        assert_eq!(lanes.next_try(), Some(later + 2 * FIRST_PAUSE));
        lanes.confirmed(lane(1));
        assert_eq!(lanes.next_try(), None);
        assert_eq!(lanes.wave(later, 1)[0].missing, None, "the next one goes to all");
    }

    #[test]
    fn however_many_are_refused_the_others_go_and_they_are_tried_again() {
        let mut lanes = filled(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]);
        let now = Instant::now();
        for chat in 1..=4 {
            lanes.refused(lane(chat), vec![0], now, Duration::ZERO);
        }
        let later = now + FIRST_PAUSE;
        assert_eq!(ids(&lanes.wave(later, 4)), [501, 601, 101, 201]);
        lanes.fill((1..=12).map(|chat| read(chat, 1)).collect());
        assert_eq!(ids(&lanes.wave(later, 4)), [501, 601, 701, 101]);
    }

    #[test]
    fn a_lane_may_have_to_rest_longer_than_its_pause() {
        let mut lanes = filled(&[(1, 1)]);
        let (now, rest) = (Instant::now(), Duration::from_secs(60));
        lanes.refused(lane(1), vec![0], now, rest);
        assert_eq!(lanes.next_try(), Some(now + rest));
    }

    #[test]
    fn a_lane_that_waits_still_waits_when_the_outbox_is_read_again() {
        let mut lanes = filled(&[(1, 1), (2, 1)]);
        let now = Instant::now();
        lanes.refused(lane(1), vec![0], now, Duration::ZERO);
        lanes.fill(vec![read(1, 1), read(1, 2), read(3, 1)]);
        assert_eq!(ids(&lanes.wave(now, 9)), [301]);
        // Somebody else has told it meanwhile.
        lanes.fill(vec![read(1, 2)]);
        assert_eq!(ids(&lanes.wave(now, 9)), [102]);
    }

    #[test]
    fn what_was_told_is_not_told_again_while_it_cannot_be_deleted() {
        let mut lanes = filled(&[(1, 1)]);
        lanes.confirmed(lane(1));
        lanes.fill(vec![read(1, 1), read(1, 2)]);
        assert_eq!(ids(&lanes.wave(Instant::now(), 9)), [102]);
        lanes.forget_told();
        assert!(lanes.told().is_empty());
    }

    #[test]
    fn more_is_read_than_what_did_not_go_up_to_ten_batches() {
        let mut lanes = filled(&[(1, 1), (1, 2), (2, 1)]);
        lanes.confirmed(lane(2));
        assert_eq!(lanes.limit(3), 5);
        lanes.fill((1..=40).map(|seq| read(1, seq)).collect());
        assert_eq!(lanes.limit(3), 30);
    }

    #[test]
    fn pauses_double_up_to_five_seconds() {
        let pauses: Vec<_> = [1, 2, 3, 6, 7, 99, u32::MAX].map(|n| pause(n).as_millis()).into();
        assert_eq!(pauses, [100, 200, 400, 3_200, 5_000, 5_000, 5_000]);
    }
}
