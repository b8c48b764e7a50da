//! The request for tokens of the demo.

use serde::Deserialize;

use super::ApiError;
use super::body::{Limits, Request};

/// The life of a token, and the longest that can be asked for, in seconds.
const MOST_SECONDS: u64 = 900;

/// A request for tokens, by the key of the demo's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSession {
    pub key: String,
    /// The life of the tokens: a short one shows how a client renews it.
    pub seconds: u64,
}

/// The same on the wire.
#[derive(Deserialize)]
pub struct WireDemoSession {
    key: String,
    seconds: Option<u64>,
}

impl Request for DemoSession {
    type Wire = WireDemoSession;

    fn check(wire: WireDemoSession, _: &Limits) -> Result<Self, ApiError> {
        let WireDemoSession { key, seconds } = wire;
        let seconds = seconds.unwrap_or(MOST_SECONDS);
        if !(1..=MOST_SECONDS).contains(&seconds) {
            let problem = format!("must be 1 to {MOST_SECONDS}");
            return Err(ApiError::bad_request("seconds", problem));
        }
        Ok(Self { key, seconds })
    }
}
