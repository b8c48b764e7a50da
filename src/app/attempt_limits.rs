//! Limits of attempts to get in by a password or a key, on all threads of a node.

#![expect(clippy::disallowed_types, reason = "threads share the rates; never held over an await")]

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::address_limits::{ClientAddress, Rates};
use crate::metrics::{LoginOutcome, Metrics};
use crate::protocol::ApiError;
use crate::retry::LogOnce;
use crate::settings::Limits;

/// The span of the limits.
const MINUTE: Duration = Duration::from_secs(60);

/// Limits of attempts, on all threads of a node.
pub struct AttemptLimits {
    logins_by_address: Limit<IpAddr>,
    logins_by_account: Limit<String>,
    sign_ups_by_address: Limit<IpAddr>,
    wrong_keys_by_address: Limit<IpAddr>,
    /// Rates are counted from here: this clock does not step back.
    began: Instant,
    /// By the limit's key.
    log: Mutex<HashMap<&'static str, LogOnce>>,
    metrics: Arc<Metrics>,
}

/// A limit under its key.
struct Limit<K> {
    key: &'static str,
    /// `None` without a limit.
    rates: Option<Mutex<Rates<K>>>,
}

impl<K: Eq + Hash> Limit<K> {
    fn new(key: &'static str, attempts: u32) -> Self {
        let rates = (attempts > 0).then(|| Mutex::new(Rates::new(attempts, MINUTE)));
        Self { key, rates }
    }

    fn rates(&self) -> Option<MutexGuard<'_, Rates<K>>> {
        Some(self.rates.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AttemptLimits {
    #[must_use]
    pub fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            logins_by_address: Limit::new("limits.logins_per_address", limits.logins_per_address),
            logins_by_account: Limit::new("limits.logins_per_account", limits.logins_per_account),
            sign_ups_by_address: Limit::new(
                "limits.sign_ups_per_address",
                limits.sign_ups_per_address,
            ),
            wrong_keys_by_address: Limit::new(
                "limits.wrong_keys_per_address",
                limits.wrong_keys_per_address,
            ),
            began: Instant::now(),
            log: Mutex::default(),
            metrics,
        }
    }

    /// Counts an attempt to log in.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn log_in(
        &self,
        client: Option<ClientAddress>,
        account: &str,
    ) -> Result<(), ApiError> {
        let address = counted(client);
        self.take(&self.logins_by_address, address, address)
            .and_then(|()| self.take(&self.logins_by_account, Some(account.to_owned()), address))
            .inspect_err(|_| self.metrics.login(LoginOutcome::Limited))
    }

    /// Counts an attempt to sign up.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn sign_up(&self, client: Option<ClientAddress>) -> Result<(), ApiError> {
        let address = counted(client);
        self.take(&self.sign_ups_by_address, address, address)
    }

    /// Refuses an address that has shown too many wrong service keys, before the next one is looked up.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn may_show_key(&self, client: Option<ClientAddress>) -> Result<(), ApiError> {
        let limit = &self.wrong_keys_by_address;
        let (Some(address), Some(rates)) = (counted(client), limit.rates()) else { return Ok(()) };
        let free = rates.check(&address, self.began.elapsed());
        drop(rates);
        free.map_err(|wait| self.refused(limit.key, Some(address), wait))
    }

    /// Counts a wrong service key.
    pub(super) fn wrong_key(&self, client: Option<ClientAddress>) {
        if let (Some(address), Some(mut rates)) =
            (counted(client), self.wrong_keys_by_address.rates())
        {
            // The next one is refused by it.
            let _ = rates.take(address, self.began.elapsed());
        }
    }

    fn take<K: Eq + Hash>(
        &self,
        limit: &Limit<K>,
        key: Option<K>,
        address: Option<IpAddr>,
    ) -> Result<(), ApiError> {
        let (Some(key), Some(mut rates)) = (key, limit.rates()) else { return Ok(()) };
        let taken = rates.take(key, self.began.elapsed());
        // Before a refusal is logged.
        drop(rates);
        taken.map_err(|wait| self.refused(limit.key, address, wait))
    }

    fn refused(&self, limit: &'static str, address: Option<IpAddr>, wait: u64) -> ApiError {
        self.metrics.requests_limited.inc();
        let mut logs = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logs.entry(limit).or_default();
        log.is_over(Instant::now());
        if log.is_new(limit, Instant::now()) {
            let from = address.map(|address| format!(" of {address}")).unwrap_or_default();
            log::warn!("attempts{from} are refused by {limit}; further ones are only counted");
        }
        ApiError::rate_limited(wait)
    }
}

/// The address that is counted, if any.
fn counted(client: Option<ClientAddress>) -> Option<IpAddr> {
    client.and_then(ClientAddress::limited_with_loopback)
}
