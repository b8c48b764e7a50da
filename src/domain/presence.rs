//! Presence: users who are online without a session, for a while after their last one.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::{ChatId, UserId};

/// Users whose last session has ended a moment ago: they are still online, so that a reload shows
/// nothing. Users with a session are the hub's.
#[derive(Debug)]
pub struct Presence {
    grace: Duration,
    leaving: HashMap<UserId, Leaving>,
    /// In the order of their ends. A user who came back, or left again, stands here once too often.
    ends: VecDeque<(Instant, UserId)>,
}

#[derive(Debug)]
struct Leaving {
    end: Instant,
    /// The chats whose rooms are to be told.
    chats: Vec<ChatId>,
}

impl Presence {
    /// `grace` is the time for which a user without a session stays online.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { grace, leaving: HashMap::new(), ends: VecDeque::new() }
    }

    /// True if the user is online, though without a session.
    #[must_use]
    pub fn is_leaving(&self, user: UserId) -> bool {
        self.leaving.contains_key(&user)
    }

    /// A user's first session begins. `true` if the user was offline.
    pub fn came(&mut self, user: UserId) -> bool {
        self.leaving.remove(&user).is_none()
    }

    /// A user's last session has ended. The user is a member of these chats.
    pub fn went(&mut self, user: UserId, chats: Vec<ChatId>, now: Instant) {
        let end = now + self.grace;
        self.leaving.insert(user, Leaving { end, chats });
        self.ends.push_back((end, user));
    }

    /// Ends the grace of those whose time is over. Returns who is offline now, with their chats.
    pub fn expire(&mut self, now: Instant) -> Vec<(UserId, Vec<ChatId>)> {
        let mut gone = Vec::new();
        while let Some((_, user)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            if self.leaving.get(&user).is_some_and(|leaving| leaving.end <= now)
                && let Some(Leaving { chats, .. }) = self.leaving.remove(&user)
            {
                gone.push((user, chats));
            }
        }
        gone
    }

    /// The next time at which somebody's grace ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIM: UserId = UserId(7);
    const GRACE: Duration = Duration::from_secs(5);

    #[test]
    fn a_reload_shows_nothing() {
        let (mut presence, start) = (Presence::new(GRACE), Instant::now());
        assert!(presence.came(KIM));
        presence.went(KIM, vec![ChatId(1)], start);
        assert!(presence.is_leaving(KIM));
        assert!(!presence.came(KIM), "still online");
        assert!(presence.expire(start + GRACE).is_empty());
        assert_eq!(presence.next_end(), None);
    }

    #[test]
    fn who_does_not_come_back_is_offline_once() {
        let (mut presence, start) = (Presence::new(GRACE), Instant::now());
        presence.went(KIM, vec![ChatId(1)], start);
        presence.came(KIM);
        let again = start + GRACE / 2;
        presence.went(KIM, vec![ChatId(2)], again);
        assert!(presence.expire(start + GRACE).is_empty(), "the first end counts no more");
        assert_eq!(presence.expire(again + GRACE), [(KIM, vec![ChatId(2)])]);
        assert!(presence.came(KIM));
    }

    proptest! {
        /// Each user is told online and offline in turn, and offline only a grace after the last end.
        #[test]
        fn online_and_offline_alternate(steps in prop::collection::vec((0..4_u8, 0..3_i64), 0..200)) {
            let (mut presence, mut now) = (Presence::new(GRACE), Instant::now());
            let mut sessions = [0_u32; 3];
            let mut shown = [false; 3];
            let mut left = [now; 3];
            for (step, user) in steps {
                let at = user as usize;
                match step {
                    0 => {
                        sessions[at] += 1;
                        if sessions[at] == 1 {
                            let is_news = presence.came(UserId(user));
                            prop_assert_eq!(is_news, !shown[at]);
                            shown[at] = true;
                        }
                    }
                    1 if sessions[at] > 0 => {
                        sessions[at] -= 1;
                        if sessions[at] == 0 {
                            presence.went(UserId(user), Vec::new(), now);
                            left[at] = now;
                        }
                    }
                    _ => now += GRACE / 3,
                }
                for (UserId(user), _) in presence.expire(now) {
                    let at = user as usize;
                    prop_assert!(shown[at] && sessions[at] == 0 && now >= left[at] + GRACE);
                    shown[at] = false;
                }
                for (at, shown) in shown.iter().enumerate() {
                    let is_leaving = presence.is_leaving(UserId(at as i64));
                    prop_assert_eq!(*shown, sessions[at] > 0 || is_leaving);
                }
            }
        }
    }
}
