//! The proof: what was posted, and what everybody saw of it.
//!
//! A session's position moves by one with each message of its room, own acks counted. So once every
//! seat has seen a contiguous run that agrees with all others on which message stands at which
//! `seq`, and all runs reach the room's end, every message was delivered exactly once, in order, to
//! everybody.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::event::{Chat, Data};

/// Length of a message's text, in bytes.
const TEXT_BYTES: usize = 80;

/// So many faults are worth reading; the rest are counted.
const SHOWN: usize = 12;

/// Stands in a log where nobody has told yet which message is there.
const UNKNOWN: usize = usize::MAX;

/// Everything posted in a run, and everything seen.
pub struct Ledger {
    rooms: Vec<Room>,
    seats: Vec<Seat>,
    posts: Vec<Post>,
    undelivered: usize,
    faults: Vec<String>,
    fault_count: usize,
}

struct Room {
    chat: i64,
    /// The last `seq` before the run.
    base: i64,
    /// The posts at `base + 1`, `base + 2` …
    log: Vec<usize>,
    acked: usize,
    seats: usize,
}

/// A session in its room.
struct Seat {
    room: usize,
    position: i64,
}

struct Post {
    seat: usize,
    sent: Instant,
    acked: Option<Instant>,
    logged: bool,
}

impl Ledger {
    /// One room in which this is known to have been said, and nobody listens.
    pub fn of(log: &[(i64, String)]) -> Self {
        let base = log.first().map_or(0, |(seq, _)| seq - 1);
        let mut ledger = Self::new(&[Chat { id: 1, last_seq: base }], []);
        ledger.rooms[0].log =
            log.iter().filter_map(|(_, client_id)| number_in(client_id)).collect();
        ledger
    }

    /// Rooms by their chats, and for each session the index of its room.
    pub fn new(chats: &[Chat], seats: impl IntoIterator<Item = usize>) -> Self {
        let mut rooms: Vec<Room> = chats
            .iter()
            .map(|chat| Room {
                chat: chat.id,
                base: chat.last_seq,
                log: Vec::new(),
                acked: 0,
                seats: 0,
            })
            .collect();
        let seats = seats
            .into_iter()
            .map(|room| {
                rooms[room].seats += 1;
                Seat { room, position: rooms[room].base }
            })
            .collect();
        Self { rooms, seats, posts: Vec::new(), undelivered: 0, faults: Vec::new(), fault_count: 0 }
    }

    /// Notes that a seat posts now. Returns the message's number and its data.
    pub fn post(&mut self, seat: usize) -> (usize, String) {
        let room = &self.rooms[self.seats[seat].room];
        let number = self.posts.len();
        self.undelivered += room.seats - 1;
        self.posts.push(Post { seat, sent: Instant::now(), acked: None, logged: false });
        let (chat, text) = (room.chat, text(number));
        let data = format!(r#"{{"chatId":{chat},"clientId":"m{number}","message":"{text}"}}"#);
        (number, data)
    }

    /// Notes an ack; says how long it took.
    pub fn acked(&mut self, seat: usize, ack: &Data, now: Instant) -> Option<Duration> {
        let number = self.see(seat, ack)?;
        let post = &mut self.posts[number];
        if post.seat != seat || post.acked.is_some() {
            self.fault(format!("an ack of m{number} that is not due"));
            return None;
        }
        post.acked = Some(now);
        let took = now - post.sent;
        self.rooms[self.seats[seat].room].acked += 1;
        Some(took)
    }

    /// Notes a delivery; says how long it took, and how long after the ack it was.
    pub fn delivered(
        &mut self,
        seat: usize,
        message: &Data,
        now: Instant,
    ) -> Option<(Duration, Duration)> {
        let number = self.see(seat, message)?;
        if self.posts[number].seat == seat {
            self.fault(format!("m{number} was delivered to the session that sent it"));
            return None;
        }
        if message.message != text(number) {
            self.fault(format!("m{number} arrived as {:?}", message.message));
        }
        self.undelivered = self.undelivered.saturating_sub(1);
        let Post { sent, acked, .. } = self.posts[number];
        Some((now - sent, acked.map_or(Duration::ZERO, |acked| now - acked)))
    }

    /// Moves a seat's position by one, and holds what stands there against what the others saw
    /// there.
    fn see(&mut self, seat: usize, data: &Data) -> Option<usize> {
        let Some(number) = number_in(&data.client_id) else {
            self.fault(format!("a message that nobody posted: {:?}", data.client_id));
            return None;
        };
        let (chat, seq) = (data.chat_id.unwrap_or(0), data.seq.unwrap_or(0));
        let Seat { room: index, position } = self.seats[seat];
        let room = &mut self.rooms[index];
        if number >= self.posts.len() || room.chat != chat || seq <= room.base {
            self.fault(format!("m{number} at {chat}:{seq}, where it cannot be"));
            return None;
        }
        let place = (seq - room.base - 1) as usize;
        // What a fault makes up must not make memory.
        if place > self.posts.len() {
            self.fault(format!("m{number} at {chat}:{seq}, far beyond the end"));
            return None;
        }
        if room.log.len() <= place {
            room.log.resize(place + 1, UNKNOWN);
        }
        let known = std::mem::replace(&mut room.log[place], number);
        self.seats[seat].position = seq;
        if known == UNKNOWN && std::mem::replace(&mut self.posts[number].logged, true) {
            self.fault(format!(
                "m{number} stands in its chat twice, the second time at {chat}:{seq}"
            ));
        }
        if known != UNKNOWN && known != number {
            self.fault(format!(
                "{chat}:{seq} was m{known} for one session and m{number} for another"
            ));
        }
        if seq != position + 1 {
            self.fault(format!("a session saw {chat}:{seq} after {chat}:{position}"));
        }
        Some(number)
    }

    /// The index of the room that a seat is in.
    pub fn room_of(&self, seat: usize) -> usize {
        self.seats[seat].room
    }

    /// Deliveries that are still to come.
    pub fn undelivered(&self) -> usize {
        self.undelivered
    }

    /// To be called once all is quiet: every post acked, every position at its room's end.
    pub fn close(&mut self) {
        let unacked = self.posts.iter().filter(|post| post.acked.is_none()).count();
        if unacked > 0 {
            self.fault(format!("{unacked} messages were never acked"));
        }
        if self.undelivered > 0 {
            self.fault(format!("{} deliveries never came", self.undelivered));
        }
        let behind =
            self.seats.iter().filter(|seat| seat.position != self.rooms[seat.room].end()).count();
        if behind > 0 {
            self.fault(format!("{behind} sessions did not reach their room's end"));
        }
        let uneven = self.rooms.iter().filter(|room| room.log.len() != room.acked).count();
        if uneven > 0 {
            self.fault(format!("{uneven} chats hold another number of messages than were acked"));
        }
    }

    /// The chats with the `seq` that their run began after.
    pub fn chats(&self) -> Vec<Chat> {
        self.rooms.iter().map(|room| Chat { id: room.chat, last_seq: room.base }).collect()
    }

    /// Messages that a room's sessions saw, to compare with its history.
    pub fn log(&self, room: usize) -> Vec<(i64, String)> {
        let room = &self.rooms[room];
        room.log
            .iter()
            .zip(room.base + 1..)
            .map(|(number, seq)| (seq, format!("m{number}")))
            .collect()
    }

    /// Holds a chat's stored messages against what was seen live.
    pub fn compare<'a>(&mut self, room: usize, stored: impl Iterator<Item = (i64, &'a str)>) {
        let Room { chat, base, ref log, .. } = self.rooms[room];
        let mut wrong = Vec::new();
        let mut count = 0;
        for (index, (seq, client_id)) in stored.enumerate() {
            count += 1;
            let number = number_in(client_id);
            if seq != base + 1 + index as i64
                || number.is_none()
                || number != log.get(index).copied()
            {
                wrong.push(format!("the history of chat {chat} has {client_id:?} at {seq}"));
            }
        }
        if count != log.len() {
            wrong.push(format!("the history of chat {chat} has {count} of {} messages", log.len()));
        }
        wrong.into_iter().for_each(|fault| self.fault(fault));
    }

    /// Notes what must not be.
    pub fn fault(&mut self, fault: String) {
        self.fault_count += 1;
        if self.faults.len() < SHOWN {
            self.faults.push(fault);
        }
    }

    /// The faults found so far; none, if all is proved.
    pub fn verdict(&self) -> Verdict {
        Verdict {
            messages: self.posts.len(),
            faults: self.faults.clone(),
            fault_count: self.fault_count,
        }
    }
}

impl Room {
    fn end(&self) -> i64 {
        self.base + self.log.len() as i64
    }
}

/// Totals of a ledger.
#[derive(Clone, Default, Serialize)]
pub struct Verdict {
    /// Messages looked at.
    pub messages: usize,
    /// The first faults.
    pub faults: Vec<String>,
    /// All faults.
    pub fault_count: usize,
}

impl Verdict {
    /// So many messages were looked at, and these faults found.
    pub fn of(messages: usize, mut faults: Vec<String>) -> Self {
        let fault_count = faults.len();
        faults.truncate(SHOWN);
        Self { messages, faults, fault_count }
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.messages += other.messages;
        self.fault_count += other.fault_count;
        self.faults.extend(other.faults);
        self.faults.truncate(SHOWN);
        self
    }
}

/// The number in a message's `clientId`.
fn number_in(client_id: &str) -> Option<usize> {
    client_id.strip_prefix('m')?.parse().ok()
}

/// The text of a message, which its number determines.
fn text(number: usize) -> String {
    format!("{:.<TEXT_BYTES$}", format!("m{number} is a message of the usual length "))
}
