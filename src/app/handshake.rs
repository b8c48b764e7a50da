//! Limits of handshakes: connects by address, and permits of sockets without a token.

#![expect(clippy::disallowed_types, reason = "threads share the counts; never held over an await")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::address_limits::{ClientAddress, Full, Rates, UnauthenticatedCounts};
use crate::metrics::{ConnectLimit, Metrics};
use crate::protocol::{ApiError, Code};
use crate::retry::LogOnce;
use crate::settings::Limits;

/// The span of `limits.connects_per_address`.
const SECOND: Duration = Duration::from_secs(1);

/// The limits of connections that have shown no token, shared by all threads.
pub struct HandshakeLimits {
    unauthenticated: Mutex<UnauthenticatedCounts>,
    /// `None` without a limit.
    connects: Option<Mutex<Rates<IpAddr>>>,
    /// Rates are counted from here: this clock does not step back.
    began: Instant,
    /// By the limit's key: refusals of one must not make those of another look new.
    log: Mutex<HashMap<&'static str, LogOnce>>,
    metrics: Arc<Metrics>,
}

impl HandshakeLimits {
    #[must_use]
    pub fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let rate = limits.connects_per_address;
        let counts = UnauthenticatedCounts::new(
            limits.unauthenticated,
            limits.unauthenticated_per_address(),
        );
        Self {
            unauthenticated: Mutex::new(counts),
            connects: (rate > 0).then(|| Mutex::new(Rates::new(rate, SECOND))),
            began: Instant::now(),
            log: Mutex::default(),
            metrics,
        }
    }

    /// Counts an upgrade, before any work on it.
    ///
    /// # Errors
    /// `rate_limited` where the address has had its connects of this second.
    pub fn connect(&self, client: Option<ClientAddress>) -> Result<(), ApiError> {
        let address = client.and_then(ClientAddress::limited);
        let (Some(connects), Some(address)) = (&self.connects, address) else { return Ok(()) };
        let taken = lock(connects).take(address, self.began.elapsed());
        taken.map_err(|wait| {
            let key = "limits.connects_per_address";
            self.refused(ConnectLimit::ConnectsPerAddress, key, Some(address));
            ApiError::rate_limited(wait)
        })
    }

    /// Takes a permit for a socket without a token.
    ///
    /// # Errors
    /// `unavailable` where all of the node's, or of the address's, are taken.
    pub fn permit(
        self: &Arc<Self>,
        client: Option<ClientAddress>,
    ) -> Result<HandshakePermit, ApiError> {
        let address = client.and_then(ClientAddress::limited);
        // A statement of its own: the lock is released before a refusal is logged.
        let added = lock(&self.unauthenticated).add(address);
        let (limit, key, words) = match added {
            Ok(()) => {
                self.metrics.unauthenticated.inc();
                let limits = Arc::clone(self);
                return Ok(HandshakePermit(Box::new(Permit { limits, address })));
            }
            Err(Full::Node) => (
                ConnectLimit::Unauthenticated,
                "limits.unauthenticated",
                "too many sockets without a token, try again",
            ),
            Err(Full::Address) => (
                ConnectLimit::UnauthenticatedPerAddress,
                "limits.unauthenticated_per_address",
                "too many sockets without a token from this address, try again",
            ),
        };
        self.refused(limit, key, address);
        Err(ApiError::new(Code::Unavailable, words))
    }

    /// Counts a refusal, and logs the first of many, whatever their addresses.
    fn refused(&self, limit: ConnectLimit, key: &'static str, address: Option<IpAddr>) {
        self.metrics.connect_refused(limit);
        if self.is_first(key, Instant::now()) {
            let from = address.map(|address| format!(" of {address}")).unwrap_or_default();
            log::warn!("connections{from} are refused by {key}; further ones are only counted");
        }
    }

    /// True unless this limit has refused another connection just before.
    fn is_first(&self, key: &'static str, now: Instant) -> bool {
        let mut logs = lock(&self.log);
        let log = logs.entry(key).or_default();
        log.is_over(now);
        log.is_new(key, now)
    }
}

/// A permit for a socket without a token; returned when dropped.
pub struct HandshakePermit(#[expect(dead_code, reason = "held until it is dropped")] Box<Permit>);

/// Behind a pointer, since a session keeps the place of its permit for as long as it lives.
struct Permit {
    limits: Arc<HandshakeLimits>,
    address: Option<IpAddr>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.limits.unauthenticated).remove(self.address);
        self.limits.metrics.unauthenticated.dec();
    }
}

/// Nothing can panic under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::settings::Settings;

    fn limits(toml: &str) -> Arc<HandshakeLimits> {
        let settings = Settings::load_from(toml, iter::empty()).expect(toml);
        Arc::new(HandshakeLimits::new(&settings.limits, Arc::new(Metrics::new())))
    }

    fn client(address: &str) -> Option<ClientAddress> {
        Some(ClientAddress { address: address.parse().expect(address), is_limited: true })
    }

    #[test]
    fn a_flood_of_many_addresses_logs_each_limit_once() {
        let (limits, mut now) = (limits(""), Instant::now());
        let mut logged = 0;
        for _ in 0..100 {
            now += Duration::from_secs(1);
            for key in ["limits.unauthenticated", "limits.connects_per_address"] {
                logged += u32::from(limits.is_first(key, now));
            }
        }
        assert_eq!(logged, 2);
        assert!(limits.is_first("limits.unauthenticated", now + Duration::from_secs(60)));
    }

    #[test]
    fn a_permit_is_given_back_when_it_is_dropped() {
        let limits = limits("limits.unauthenticated_per_address = 1");
        let (kim, lee) = (client("192.0.2.1"), client("192.0.2.2"));
        let permit = limits.permit(kim).expect("a permit");
        let refused = limits.permit(kim).err().expect("a refusal");
        assert_eq!(refused.code, Code::Unavailable);
        let other = limits.permit(lee).expect("another address");
        assert_eq!(limits.metrics.unauthenticated.get(), 2);
        drop(permit);
        let again = limits.permit(kim).expect("a permit");
        assert!(limits.permit(kim).is_err(), "given back once");
        drop((other, again));
        assert_eq!(limits.metrics.unauthenticated.get(), 0);
    }
}
