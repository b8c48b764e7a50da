//! Outbox: packets that wait for their client, of all namespaces of a connection.

use bytestring::ByteString;

use crate::actors::Slot;
use crate::session::Permit;

/// Bytes from which a connection takes nothing more in, and reads no page, until its client has fetched
/// what there is: the next thing that it says may make more.
const CLOGGED: usize = 64 * 1024;

/// Packets that wait, and those that are on their way, within limits.
pub struct Outbox {
    most_packets: usize,
    most_bytes: usize,
    waiting: Vec<ByteString>,
    /// Permits of the sessions' events among them.
    permits: Vec<(Slot, Permit)>,
    /// Packets and their bytes, those on their way included.
    packets: usize,
    bytes: usize,
    /// The part of them that is on its way, if any is.
    sent: Option<(usize, usize)>,
}

impl Outbox {
    /// At most `packets` with `bytes` together (`limits.session_queue_events`, `_bytes`).
    #[must_use]
    pub fn new(packets: usize, bytes: usize) -> Self {
        Self {
            most_packets: packets,
            most_bytes: bytes,
            waiting: Vec::new(),
            permits: Vec::new(),
            packets: 0,
            bytes: 0,
            sent: None,
        }
    }

    /// Adds a packet. `false` where it does not fit: the client is too slow. A packet larger than the
    /// whole fits while nothing else waits.
    #[must_use]
    pub fn push(&mut self, packet: ByteString) -> bool {
        let fits = self.packets == 0
            || (self.packets < self.most_packets && self.bytes + packet.len() <= self.most_bytes);
        if fits {
            self.packets += 1;
            self.bytes += packet.len();
            self.waiting.push(packet);
        }
        fits
    }

    /// Holds a permit until what was added before is delivered.
    pub fn hold(&mut self, slot: Slot, permit: Permit) {
        match self.permits.iter_mut().find(|(of, _)| *of == slot) {
            Some((_, held)) => held.join(permit),
            None => self.permits.push((slot, permit)),
        }
    }

    /// The packets that wait, with their permits; `None` without any, and while some are on their way.
    pub fn take(&mut self) -> Option<(Vec<ByteString>, Vec<Permit>)> {
        if self.sent.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.sent = Some((self.packets, self.bytes));
        let permits = std::mem::take(&mut self.permits).into_iter().map(|(_, permit)| permit);
        Some((std::mem::take(&mut self.waiting), permits.collect()))
    }

    /// The client has what was on its way.
    pub fn delivered(&mut self) {
        let (packets, bytes) = self.sent.take().unwrap_or_default();
        self.packets -= packets;
        self.bytes -= bytes;
        // Permits of events that were written as nothing have no packet to wait for.
        if self.waiting.is_empty() {
            self.permits.clear();
        }
    }

    /// Nothing waits, and nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// The client has much to fetch.
    #[must_use]
    pub fn is_clogged(&self) -> bool {
        self.bytes > CLOGGED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Budget;

    fn packet(bytes: usize) -> ByteString {
        "x".repeat(bytes).into()
    }

    #[test]
    fn what_is_on_its_way_counts_until_it_is_delivered() {
        let mut outbox = Outbox::new(3, 100);
        assert!(outbox.push(packet(40)) && outbox.push(packet(40)));
        assert!(!outbox.push(packet(40)), "too many bytes");
        let (packets, _) = outbox.take().expect("packets");
        assert_eq!(packets.len(), 2);
        assert!(outbox.push(packet(1)) && !outbox.push(packet(1)), "too many packets");
        assert!(outbox.take().is_none(), "one after the other");
        outbox.delivered();
        assert!(outbox.push(packet(90)));
        assert_eq!(outbox.take().expect("packets").0.len(), 2);
    }

    #[test]
    fn a_packet_larger_than_the_whole_passes_alone() {
        let mut outbox = Outbox::new(3, 100);
        assert!(outbox.push(packet(500)) && !outbox.push(packet(1)));
    }

    #[test]
    fn permits_go_with_the_packets() {
        let (mut outbox, budget) = (Outbox::new(3, 100), Budget::new(9, 100));
        let permit = || budget.take(1, 1).expect("room");
        assert!(outbox.push(packet(1)));
        for slot in [1, 2, 1] {
            outbox.hold(slot, permit());
        }
        let (_, permits) = outbox.take().expect("packets");
        assert_eq!(permits.len(), 2);
        drop(permits);
        assert!(budget.is_unused());
        outbox.hold(1, budget.take(1, 1).expect("room"));
        outbox.delivered();
        assert!(budget.is_unused(), "there is no packet to wait for");
    }
}
