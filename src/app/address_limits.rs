//! Limits of connections, on all threads of a node: in all, and by the client's address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::domain::SharedRateLimit;

/// Keys whose rates are kept: more than there are within the span of a limit.
const MOST_RATES: usize = 65_536;
/// Bits of an IPv6 address that are one customer's of a provider.
const IPV6_PREFIX: u32 = 64;

/// The address of a client, and its part in limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    pub address: IpAddr,
    /// False for connections that may be of any number of clients.
    pub is_limited: bool,
}

impl ClientAddress {
    /// The address that limits count: of IPv6, the network of 64 bits. `None` without a limit.
    #[must_use]
    pub fn limited(self) -> Option<IpAddr> {
        self.is_limited.then(|| self.network())
    }

    /// The address that limits of passwords and keys count: loopback, too. `None` for a proxy that names no client.
    #[must_use]
    pub fn limited_with_loopback(self) -> Option<IpAddr> {
        (self.is_limited || self.address.is_loopback()).then(|| self.network())
    }

    fn network(self) -> IpAddr {
        match self.address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let host = u128::BITS - IPV6_PREFIX;
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> host << host))
            }
            address => address,
        }
    }
}

/// Rates of attempts, by address or by another key: so many in a span of time, and at once.
#[derive(Debug)]
pub struct Rates<K> {
    attempts: u32,
    /// In which every rate is at rest again, and so the pause between two cleanings.
    span: Duration,
    most: usize,
    rates: HashMap<K, SharedRateLimit>,
    /// Shared by the keys that have no room.
    rest: SharedRateLimit,
    cleaned: Duration,
}

impl<K: Eq + Hash> Rates<K> {
    #[must_use]
    pub fn new(attempts: u32, span: Duration) -> Self {
        Self::with_room(attempts, span, MOST_RATES)
    }

    fn with_room(attempts: u32, span: Duration, most: usize) -> Self {
        let (rates, rest) = (HashMap::new(), SharedRateLimit::over(span, attempts));
        Self { attempts, span, most, rates, rest, cleaned: Duration::ZERO }
    }

    /// Takes one attempt's token at `now`, since any fixed moment.
    ///
    /// # Errors
    /// The milliseconds until the next token.
    pub fn take(&mut self, address: K, now: Duration) -> Result<(), u64> {
        if now.saturating_sub(self.cleaned) >= self.span {
            // A rate at rest is as good as a new one.
            self.rates.retain(|_, rate| !rate.is_full(now));
            self.cleaned = now;
        }
        let has_room = self.rates.len() < self.most;
        match self.rates.entry(address) {
            Entry::Occupied(rate) => rate.get().take(now),
            Entry::Vacant(place) if has_room => {
                place.insert(SharedRateLimit::over(self.span, self.attempts)).take(now)
            }
            Entry::Vacant(_) => self.rest.take(now),
        }
    }

    /// Checks that there is a token at `now`, and takes none.
    ///
    /// # Errors
    /// The milliseconds until the next token.
    pub fn check(&self, key: &K, now: Duration) -> Result<(), u64> {
        let has_room = self.rates.len() < self.most;
        match self.rates.get(key) {
            Some(rate) => rate.check(now),
            None if has_room => Ok(()),
            None => self.rest.check(now),
        }
    }
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Node,
    Address,
}

/// Counts of sockets without a token. An address stands here while it has one, so the node's limit
/// bounds the table.
#[derive(Debug)]
pub struct UnauthenticatedCounts {
    most: usize,
    most_per_address: usize,
    count: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl UnauthenticatedCounts {
    #[must_use]
    pub fn new(most: usize, most_per_address: usize) -> Self {
        Self { most, most_per_address, count: 0, by_address: HashMap::new() }
    }

    /// Counts one socket; without an address, for the node alone.
    ///
    /// # Errors
    /// The limit that is reached; nothing is counted then.
    pub fn add(&mut self, address: Option<IpAddr>) -> Result<(), Full> {
        if self.count >= self.most {
            return Err(Full::Node);
        }
        if let Some(address) = address {
            if self.by_address.get(&address).is_some_and(|count| *count >= self.most_per_address) {
                return Err(Full::Address);
            }
            *self.by_address.entry(address).or_default() += 1;
        }
        self.count += 1;
        Ok(())
    }

    /// Takes back what [`add`](Self::add) has counted.
    pub fn remove(&mut self, address: Option<IpAddr>) {
        self.count = self.count.saturating_sub(1);
        if let Some(Entry::Occupied(mut count)) =
            address.map(|address| self.by_address.entry(address))
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn numbered(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_a_mapped_one_as_ipv4() {
        let limited = |text| {
            let client = ClientAddress { address: ip(text), is_limited: true };
            client.limited().expect("a limit").to_string()
        };
        assert_eq!(limited("192.0.2.7"), "192.0.2.7");
        assert_eq!(limited("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(limited("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        let free = ClientAddress { address: ip("192.0.2.7"), is_limited: false };
        assert_eq!(free.limited(), None);
    }

    #[test]
    fn an_address_connects_at_its_own_rate() {
        let mut rates = Rates::new(2, SECOND);
        let at = Duration::from_millis;
        let (kim, lee) = (ip("192.0.2.1"), ip("192.0.2.2"));
        assert_eq!([rates.take(kim, at(0)), rates.take(kim, at(0))], [Ok(()), Ok(())]);
        assert_eq!(rates.take(kim, at(0)), Err(500));
        assert_eq!(rates.take(lee, at(0)), Ok(()));
        assert_eq!(rates.take(kim, at(500)), Ok(()));
        assert!(rates.take(kim, at(500)).is_err());
        // Its rate is still kept when those at rest are forgotten.
        assert_eq!([rates.take(lee, at(1000)), rates.take(kim, at(1000))], [Ok(()), Ok(())]);
        assert_eq!(rates.take(kim, at(1000)), Err(500));
    }

    #[test]
    fn many_addresses_neither_free_a_limited_one_nor_grow_the_table() {
        let mut rates = Rates::with_room(1, SECOND, 100);
        let (limited, mut now) = (ip("192.0.2.1"), Duration::from_secs(5));
        assert_eq!(rates.take(limited, now), Ok(()));
        let mut passed = 0;
        for number in 0..1_000 {
            now += Duration::from_micros(100);
            passed += u32::from(rates.take(numbered(number), now).is_ok());
            assert!(rates.take(limited, now).is_err(), "{number}");
        }
        assert_eq!(rates.rates.len(), 100);
        assert_eq!(passed, 100, "99 had room, and one passed for all others");
        // At rest, all are forgotten.
        now += SECOND * 2;
        assert_eq!(rates.take(limited, now), Ok(()));
        assert_eq!(rates.rates.len(), 1);
    }

    #[test]
    fn sockets_without_a_token_are_counted_by_address_while_they_are_open() {
        let mut counts = UnauthenticatedCounts::new(5, 2);
        let (kim, lee) = (Some(ip("192.0.2.1")), Some(ip("192.0.2.2")));
        assert_eq!([counts.add(kim), counts.add(kim)], [Ok(()), Ok(())]);
        assert_eq!(counts.add(kim), Err(Full::Address));
        assert_eq!([counts.add(lee), counts.add(None), counts.add(None)], [Ok(()); 3]);
        assert_eq!([counts.add(lee), counts.add(None)], [Err(Full::Node); 2]);
        counts.remove(None);
        counts.remove(kim);
        assert_eq!(counts.add(kim), Ok(()));
        for address in [kim, kim, lee, None] {
            counts.remove(address);
        }
        assert_eq!((counts.count, counts.by_address.len()), (0, 0), "{counts:?}");
    }
}
