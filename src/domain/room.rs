//! The order of one chat: what a room delivers next, and what it must read first.

use super::Seq;

/// Something with a place in a chat's log.
pub trait Sequenced {
    fn seq(&self) -> Seq;
}

/// The next action of a room.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<M> {
    /// Hand these to everybody, in this order; they follow what was handed out before.
    Deliver(Vec<M>),
    /// Read what lies after `after`, up to and including `up_to`, and come back with it.
    Read { after: Seq, up_to: Seq },
}

/// Keeps a chat's messages in `seq` order without a gap, in whatever order they become known.
///
/// Messages become known in three ways: this node stored them, a hint says that another node did,
/// or they were read from the database. What is delivered is 1, 2, 3 … from where the room began.
#[derive(Debug)]
pub struct Room<M> {
    /// The last one delivered.
    head: Seq,
    /// The last one that is known to exist.
    end: Seq,
    /// Stored here, above a hole, ascending.
    held: Vec<M>,
    /// Posts that storage has not answered. While there are any, a hole at the end is theirs.
    in_flight: usize,
    /// A read is under way.
    reading: bool,
}

impl<M: Sequenced> Room<M> {
    /// A room that begins after `head`.
    #[must_use]
    pub fn new(head: Seq) -> Self {
        Self { head, end: head, held: Vec::new(), in_flight: 0, reading: false }
    }

    /// The last one delivered.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// Posts in flight, and posts that wait for the ones before them.
    #[must_use]
    pub fn load(&self) -> usize {
        self.in_flight + self.held.len()
    }

    /// True if nothing is in flight.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.load() == 0 && !self.reading
    }

    /// A post goes to storage.
    pub fn posted(&mut self) {
        self.in_flight += 1;
    }

    /// Storage has answered `answered` posts, of which it stored `news`.
    pub fn stored(&mut self, answered: usize, news: Vec<M>) -> Vec<Step<M>> {
        self.in_flight = self.in_flight.saturating_sub(answered);
        for message in news {
            self.end = self.end.max(message.seq());
            self.held.push(message);
        }
        self.held.sort_by_key(M::seq);
        self.advance()
    }

    /// Storage will answer none of the posts that were on their way.
    pub fn abandoned(&mut self) {
        self.in_flight = 0;
    }

    /// The chat's log is known to reach at least `end`.
    pub fn hinted(&mut self, end: Seq) -> Vec<Step<M>> {
        self.end = self.end.max(end);
        self.advance()
    }

    /// The read that was asked for brought `messages`, ascending, perhaps not all.
    pub fn read(&mut self, messages: Vec<M>) -> Vec<Step<M>> {
        self.reading = false;
        if messages.is_empty() {
            // Nothing is there (a hint was wrong, or the database was restored): believe what is held.
            self.end = self.head;
            if let Some(first) = self.held.first() {
                self.head = Seq(first.seq().0 - 1);
                self.end = self.held.last().map_or(self.head, M::seq);
            }
        }
        self.held.extend(messages);
        self.held.sort_by_key(M::seq);
        self.advance()
    }

    /// The read that was asked for failed; [`Room::hinted`] asks again.
    pub fn read_failed(&mut self) {
        self.reading = false;
    }

    fn advance(&mut self) -> Vec<Step<M>> {
        let mut steps = Vec::with_capacity(1);
        let mut held = std::mem::take(&mut self.held).into_iter().peekable();
        let mut ready = Vec::with_capacity(held.len());
        while let Some(message) = held.next_if(|message| message.seq() <= self.head.next()) {
            // Below: read and stored both; it was delivered.
            if message.seq() > self.head {
                self.head = message.seq();
                ready.push(message);
            }
        }
        self.held = held.collect();
        self.end = self.end.max(self.head);
        if !ready.is_empty() {
            steps.push(Step::Deliver(ready));
        }
        if !self.reading {
            let up_to = match self.held.first() {
                Some(first) => Some(Seq(first.seq().0 - 1)),
                None if self.end > self.head && self.in_flight == 0 => Some(self.end),
                None => None,
            };
            if let Some(up_to) = up_to {
                self.reading = true;
                steps.push(Step::Read { after: self.head, up_to });
            }
        }
        steps
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
