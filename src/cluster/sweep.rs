//! Sweep: where a poll reads on, page by page, so that no change is missed that is committed late.

use std::time::Duration;

use crate::db::Place;
use crate::domain::Timestamp;

/// The way through changes in their order. A round takes one page, or several where there are more
/// changes; the next round begins where changes were open when this one began.
#[derive(Debug)]
pub struct Sweep {
    /// Time by which a round goes back behind what was committed for certain.
    overlap: Duration,
    next: Place,
    /// The settled time when the present round began.
    began: Option<Timestamp>,
}

impl Sweep {
    /// Begins at a time before which all is committed.
    #[must_use]
    pub fn new(settled: Timestamp, overlap: Duration) -> Self {
        Self { overlap, next: before(settled, overlap).into(), began: None }
    }

    /// The place after which the next page begins; `settled` is asked first. A page that fails is
    /// read again.
    pub fn page(&mut self, settled: Timestamp) -> Place {
        self.began.get_or_insert(settled);
        self.next
    }

    /// The page was handled. `last` is its last change, if it was full.
    pub fn handled(&mut self, last: Option<Place>) {
        if let Some(last) = last {
            self.next = last;
        } else if let Some(began) = self.began.take() {
            self.next = before(began, self.overlap).into();
        }
    }
}

/// This time less `span`.
pub fn before(time: Timestamp, span: Duration) -> Timestamp {
    Timestamp(time.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;

    use super::*;

    /// Chats of a database, whose transactions stay open for as long as they like.
    #[derive(Default)]
    struct World {
        now: i64,
        /// The end of each chat, and its time.
        committed: BTreeMap<i64, (u64, i64)>,
        /// Times of messages that are not committed yet, by their chat, which is locked.
        open: BTreeMap<i64, i64>,
        found: HashMap<i64, u64>,
    }

    #[derive(Debug, Clone)]
    enum Step {
        Begin(i64),
        Commit(usize),
        Poll {
            fails: bool,
        },
        /// A poll, with a commit between its two questions.
        Race(usize),
    }

    const PAGE: usize = 2;

    impl World {
        fn commit(&mut self, nth: usize) {
            let chats: Vec<_> = self.open.keys().copied().collect();
            if let Some(chat) = chats.get(nth % chats.len().max(1)) {
                let at = self.open.remove(chat).expect("open");
                let end = self.committed.get(chat).map_or(1, |(end, _)| end + 1);
                self.committed.insert(*chat, (end, at));
            }
        }

        fn poll(&mut self, sweep: &mut Sweep, meanwhile: Option<usize>, fails: bool) {
            let settled = self.open.values().copied().min().unwrap_or(self.now).min(self.now);
            let Place { at, id } = sweep.page(Timestamp(settled));
            if let Some(nth) = meanwhile {
                self.commit(nth);
            }
            let mut page: Vec<_> =
                self.committed.iter().map(|(chat, (end, time))| (*time, *chat, *end)).collect();
            page.retain(|(time, chat, _)| (*time, *chat) > (at.0, id));
            page.sort_unstable();
            page.truncate(PAGE);
            if fails {
                return;
            }
            self.found.extend(page.iter().map(|(_, chat, end)| (*chat, *end)));
            let last = page.last().filter(|_| page.len() == PAGE);
            sweep.handled(last.map(|(time, chat, _)| Place { at: Timestamp(*time), id: *chat }));
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1..8_i64).prop_map(Step::Begin),
            3 => (0..8_usize).prop_map(Step::Commit),
            3 => any::<bool>().prop_map(|fails| Step::Poll { fails }),
            1 => (0..8_usize).prop_map(Step::Race),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn every_change_is_found_whenever_it_is_committed(steps in steps()) {
            let (mut world, mut sweep) =
                (World::default(), Sweep::new(Timestamp(0), Duration::ZERO));
            for step in steps {
                // Several changes may have one time.
                world.now += i64::from(!matches!(step, Step::Commit(_)));
                match step {
                    Step::Begin(chat) => {
                        let now = world.now;
                        world.open.entry(chat).or_insert(now);
                    }
                    Step::Commit(nth) => world.commit(nth),
                    Step::Poll { fails } => world.poll(&mut sweep, None, fails),
                    Step::Race(nth) => world.poll(&mut sweep, Some(nth), false),
                }
            }
            while !world.open.is_empty() {
                world.commit(0);
            }
            // As many pages as there can be, of the present round and of the next.
            for _ in 0..16 {
                world.poll(&mut sweep, None, false);
            }
            for (chat, (end, _)) in &world.committed {
                prop_assert_eq!(world.found.get(chat), Some(end), "chat {}", chat);
            }
        }
    }

    #[test]
    fn more_changes_of_one_time_than_a_page_has_are_all_read() {
        let mut sweep = Sweep::new(Timestamp(10), Duration::ZERO);
        assert_eq!(sweep.page(Timestamp(20)), Timestamp(10).into());
        let last = Place { at: Timestamp(12), id: 7 };
        sweep.handled(Some(last));
        assert_eq!(sweep.page(Timestamp(30)), last);
        sweep.handled(None);
        // What was open when the first page was read may be before the last one.
        assert_eq!(sweep.page(Timestamp(40)), Timestamp(20).into());
    }
}
