//! Clock of the sessions of one thread: heartbeats, and the ends of tokens, by a single timer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use slab::Slab;
use tokio::time::{Instant, interval};

use crate::domain::Timestamp;

/// The longest pause between two looks at the sessions: an end comes that much late at most.
const PRECISION: Duration = Duration::from_millis(250);
/// Looks in one heartbeat, where that is short.
const LOOKS: u32 = 4;

/// Reminds a session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tick {
    /// A heartbeat is due; else, the time that the session asked for has come.
    pub is_heartbeat: bool,
}

/// The sessions of a thread. A timer in each of them would cost each some hundred bytes.
pub struct SessionClock {
    heartbeat: Duration,
    sessions: RefCell<Slab<Entry>>,
}

struct Entry {
    session: Recipient<Tick>,
    next_heartbeat: Instant,
    end: Timestamp,
    /// It was reminded, and has not taken it: a peer that does not read stops its session, too.
    is_reminded: bool,
}

impl SessionClock {
    /// Starts the clock of the present thread. It ends with its last handle.
    #[must_use]
    pub fn start(heartbeat: Duration) -> Rc<Self> {
        let clock = Rc::new(Self { heartbeat, sessions: RefCell::default() });
        let weak = Rc::downgrade(&clock);
        actix::spawn(async move {
            let mut looks =
                interval(PRECISION.min(heartbeat / LOOKS).max(Duration::from_millis(1)));
            loop {
                looks.tick().await;
                let Some(clock) = weak.upgrade() else { return };
                clock.look(Instant::now(), Timestamp::now());
            }
        });
        clock
    }

    /// Adds a session; its key.
    pub fn add(&self, session: Recipient<Tick>) -> usize {
        let next_heartbeat = Instant::now() + self.heartbeat;
        let entry = Entry { session, next_heartbeat, end: Timestamp(i64::MAX), is_reminded: false };
        self.sessions.borrow_mut().insert(entry)
    }

    /// Sets the time at which a session is reminded, in place of an earlier one.
    pub fn set_end(&self, key: usize, end: Timestamp) {
        if let Some(entry) = self.sessions.borrow_mut().get_mut(key) {
            entry.end = end;
        }
    }

    /// A session takes its reminder.
    pub fn taken(&self, key: usize) {
        if let Some(entry) = self.sessions.borrow_mut().get_mut(key) {
            entry.is_reminded = false;
        }
    }

    pub fn remove(&self, key: usize) {
        self.sessions.borrow_mut().try_remove(key);
    }

    fn look(&self, now: Instant, time: Timestamp) {
        for (_, entry) in self.sessions.borrow_mut().iter_mut() {
            let is_heartbeat = entry.next_heartbeat <= now;
            if entry.is_reminded || (!is_heartbeat && entry.end > time) {
                continue;
            }
            // One that has much to do is reminded again.
            entry.is_reminded = entry.session.try_send(Tick { is_heartbeat }).is_ok();
            if is_heartbeat && entry.is_reminded {
                entry.next_heartbeat = now + self.heartbeat;
            }
        }
    }
}
