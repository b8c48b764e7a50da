//! Reordering buffer of one chat: the messages to deliver next, and the gaps to read first.

use super::Seq;

/// Messages of other nodes that are held above a gap.
const MOST_HELD: usize = 256;

/// A value with a `seq`.
pub trait Sequenced {
    fn seq(&self) -> Seq;
}

/// The next action of a room.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<M> {
    /// Deliver these, in this order; they follow the last delivery.
    Deliver(Vec<M>),
    /// Read the messages with `after` < `seq` ≤ `up_to`, and pass them in.
    Read { after: Seq, up_to: Seq },
}

/// Orders a chat's messages by `seq` without a gap, in whatever order they become known.
///
/// Messages become known in four ways: this node stored them, another node stored and sent them, a
/// hint says that it stored some, or they were read from the database. They are delivered as 1, 2, 3 … from the room's first.
#[derive(Debug)]
pub struct Room<M> {
    /// The last delivered one.
    head: Seq,
    /// The last known one.
    end: Seq,
    /// Messages above a gap, ascending.
    held: Vec<M>,
    /// The last one that this node stored.
    own: Seq,
    /// Posts without an answer of the storage. While there are any, a gap at the end is theirs.
    in_flight: usize,
    /// A read is in flight.
    reading: bool,
}

impl<M: Sequenced> Room<M> {
    /// A room that begins after `head`.
    #[must_use]
    pub fn new(head: Seq) -> Self {
        Self { head, end: head, held: Vec::new(), own: head, in_flight: 0, reading: false }
    }

    /// The last delivered one.
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

    /// A post is submitted to the storage.
    pub fn posted(&mut self) {
        self.in_flight += 1;
    }

    /// The storage has answered `answered` posts, of which it stored `news`.
    pub fn stored(&mut self, answered: usize, news: Vec<M>) -> Vec<Step<M>> {
        self.in_flight = self.in_flight.saturating_sub(answered);
        for message in news {
            self.end = self.end.max(message.seq());
            self.own = self.own.max(message.seq());
            self.held.push(message);
        }
        self.held.sort_by_key(M::seq);
        self.advance()
    }

    /// Another node has stored these.
    pub fn stored_elsewhere(&mut self, messages: Vec<M>) -> Vec<Step<M>> {
        for message in messages {
            self.end = self.end.max(message.seq());
            // One too many is read again.
            if self.held.len() < MOST_HELD {
                self.held.push(message);
            }
        }
        self.held.sort_by_key(M::seq);
        self.advance()
    }

    /// The storage will not answer the posts in flight.
    pub fn abandoned(&mut self) {
        self.in_flight = 0;
    }

    /// A hint: the log reaches at least `end`.
    pub fn hinted(&mut self, end: Seq) -> Vec<Step<M>> {
        self.end = self.end.max(end);
        self.advance()
    }

    /// The requested read returned `messages`, ascending, perhaps not all.
    pub fn read(&mut self, messages: Vec<M>) -> Vec<Step<M>> {
        self.reading = false;
        if messages.is_empty() {
            // The log is shorter (a wrong hint, or a restored database): deliver the held messages.
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

    /// The requested read failed, or is needed no more; [`Room::hinted`] requests what is missing.
    pub fn read_dropped(&mut self) {
        self.reading = false;
    }

    fn advance(&mut self) -> Vec<Step<M>> {
        let mut steps = Vec::with_capacity(1);
        let mut held = std::mem::take(&mut self.held).into_iter().peekable();
        let mut ready = Vec::with_capacity(held.len());
        while let Some(message) = held.next_if(|message| message.seq() <= self.head.next()) {
            // Below: both read and stored; already delivered.
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
            // Own messages become known in their order, so a gap below one is another node's. Any other
            // gap may be that of a post in flight.
            let is_foreign = self.own > self.head || self.in_flight == 0;
            let up_to = match self.held.first() {
                _ if !is_foreign => None,
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
