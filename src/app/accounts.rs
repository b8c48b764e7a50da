//! Built-in accounts of a node: their keys, the passwords' thread, and the limits of attempts.

#![expect(clippy::disallowed_types, reason = "threads share the rates; never held over an await")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::address_limits::{ClientAddress, Rates};
use crate::actors::Passwords;
use crate::auth::AccountKeys;
use crate::domain::{LoginId, Timestamp, User};
use crate::metrics::{LoginOutcome, Metrics};
use crate::protocol::{ApiError, TokensView};
use crate::retry::LogOnce;
use crate::settings::{Auth, Limits};

/// The span of the limits.
const MINUTE: Duration = Duration::from_secs(60);
/// The built-in accounts of a node.
pub struct Accounts {
    pub(super) keys: AccountKeys,
    pub(super) passwords: Passwords,
    pub(super) attempts: AttemptLimits,
    /// Anybody may make an account.
    pub(super) sign_up: bool,
    /// Life of an access token, and of a login without a refresh.
    access: Duration,
    pub(super) refresh: Duration,
}

impl Accounts {
    #[must_use]
    pub fn new(
        keys: AccountKeys,
        passwords: Passwords,
        auth: &Auth,
        limits: &Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (access, refresh) = (auth.access_lifetime(), auth.refresh_lifetime());
        let attempts = AttemptLimits::new(limits, metrics);
        Self { keys, passwords, attempts, sign_up: auth.sign_up, access, refresh }
    }

    /// The tokens of a login, with the refresh token of this number.
    ///
    /// # Errors
    /// `internal`: only a failure of the signing itself.
    pub(super) fn tokens(
        &self,
        user: &User,
        login: LoginId,
        generation: i64,
    ) -> Result<TokensView, ApiError> {
        let now = Timestamp::now();
        let signed = self.keys.access_token(user.id, login, now, now.after(self.access));
        let access_token = signed.map_err(|error| {
            log::error!("cannot sign an access token: {error}");
            ApiError::internal()
        })?;
        Ok(TokensView {
            access_token,
            refresh_token: self.keys.refresh_token(login, generation),
            token_type: "Bearer",
            expires_in: self.access.as_secs(),
        })
    }
}

/// Limits of attempts, on all threads of a node.
pub(super) struct AttemptLimits {
    /// Each `None` without a limit.
    logins_by_address: Option<Mutex<Rates<IpAddr>>>,
    logins_by_account: Option<Mutex<Rates<String>>>,
    sign_ups_by_address: Option<Mutex<Rates<IpAddr>>>,
    /// Rates are counted from here: this clock does not step back.
    began: Instant,
    /// By the limit's key.
    log: Mutex<HashMap<&'static str, LogOnce>>,
    metrics: Arc<Metrics>,
}

impl AttemptLimits {
    fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        fn rates<K: Eq + std::hash::Hash>(attempts: u32) -> Option<Mutex<Rates<K>>> {
            (attempts > 0).then(|| Mutex::new(Rates::new(attempts, MINUTE)))
        }
        Self {
            logins_by_address: rates(limits.logins_per_address),
            logins_by_account: rates(limits.logins_per_account),
            sign_ups_by_address: rates(limits.sign_ups_per_address),
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
        let address = client.and_then(ClientAddress::limited_with_loopback);
        let taken = self
            .take(&self.logins_by_address, address, "limits.logins_per_address", address)
            .and_then(|()| {
                let key = "limits.logins_per_account";
                self.take(&self.logins_by_account, Some(account.to_owned()), key, address)
            });
        taken.inspect_err(|_| self.metrics.login(LoginOutcome::Limited))
    }

    /// Counts an attempt to sign up.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(super) fn sign_up(&self, client: Option<ClientAddress>) -> Result<(), ApiError> {
        let address = client.and_then(ClientAddress::limited_with_loopback);
        self.take(&self.sign_ups_by_address, address, "limits.sign_ups_per_address", address)
    }

    fn take<K: Eq + std::hash::Hash>(
        &self,
        rates: &Option<Mutex<Rates<K>>>,
        key: Option<K>,
        limit: &'static str,
        address: Option<IpAddr>,
    ) -> Result<(), ApiError> {
        let (Some(rates), Some(key)) = (rates, key) else { return Ok(()) };
        // A statement of its own: the lock is released before a refusal is logged.
        let taken =
            rates.lock().unwrap_or_else(PoisonError::into_inner).take(key, self.began.elapsed());
        taken.map_err(|wait| {
            self.metrics.requests_limited.inc();
            let mut logs = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            let log = logs.entry(limit).or_default();
            log.is_over(Instant::now());
            if log.is_new(limit, Instant::now()) {
                let from = address.map(|address| format!(" of {address}")).unwrap_or_default();
                log::warn!("attempts{from} are refused by {limit}; further ones are only counted");
            }
            ApiError::rate_limited(wait)
        })
    }
}
