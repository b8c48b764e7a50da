//! `GET /web/check`: what keeps a browser from being live, as far as the server sees it.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::rt::time::timeout;
use actix_web::{HttpRequest, web};
use serde::Serialize;

use super::{headers, public};
use crate::domain::Timestamp;
use crate::http::query::Query;
use crate::http::{Answer, State, json};
use crate::protocol::{ApiError, ServerTime};

/// The database's deadline.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest origin that is checked, in bytes; no real one is longer.
const ORIGIN_BYTES: usize = 270;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckView {
    #[serde(flatten)]
    now: ServerTime,
    version: &'static str,
    /// `ok` or `away`.
    database: &'static str,
    origin: OriginView,
    forwarded: ForwardedView,
    limits: LimitsView,
}

#[derive(Serialize)]
struct OriginView {
    /// The one that was asked about, or the asking page's own; null for a request without.
    seen: Option<String>,
    allowed: bool,
    /// The host that the request was sent to, as it arrived here: pages of it are allowed.
    host: Option<String>,
}

#[derive(Serialize)]
struct ForwardedView {
    /// True if a proxy in front says for whom it asks.
    seen: bool,
    /// True if it is one of `server.trusted_proxies`.
    trusted: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LimitsView {
    heartbeat_ms: u64,
    auth_seconds: u64,
    leeway_seconds: u64,
    message_chars: usize,
}

/// Answers for the origin in the query, `?origin=https://shop.example.org`, or for the page that asks.
/// Public: it tells what the asking browser could find out by trying.
pub async fn check(state: web::Data<State>, request: HttpRequest) -> Answer {
    let query = Query::from_request(&request)?;
    let own = request.headers().get(header::ORIGIN).cloned();
    let asked = match query.text("origin")? {
        Some(text) if text.len() > ORIGIN_BYTES => {
            let problem = format!("is longer than {ORIGIN_BYTES} bytes");
            return Err(ApiError::bad_request("origin", problem).into());
        }
        Some(text) => Some(
            HeaderValue::from_str(text)
                .map_err(|_| ApiError::bad_request("origin", "is no origin"))?,
        ),
        None => own,
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers();
    let allowed = asked.as_ref().is_none_or(|origin| state.origins.allows(origin, headers));
    let is_alive = matches!(timeout(PING_TIMEOUT, state.app.store().ping()).await, Ok(Ok(())));
    let limits = &state.settings.limits;
    let view = CheckView {
        now: ServerTime { server_time: Timestamp::now() },
        version: env!("CARGO_PKG_VERSION"),
        database: if is_alive { "ok" } else { "away" },
        origin: OriginView {
            seen: asked.as_ref().map(text),
            allowed,
            host: headers.get(header::HOST).map(text),
        },
        forwarded: ForwardedView {
            seen: ["x-forwarded-for", "forwarded"].iter().any(|name| headers.contains_key(*name)),
            trusted: request.peer_addr().is_some_and(|peer| {
                let proxies = &state.settings.server.trusted_proxies;
                proxies.iter().any(|network| network.contains(peer.ip().to_canonical()))
            }),
        },
        limits: LimitsView {
            heartbeat_ms: limits.heartbeat_ms,
            auth_seconds: limits.auth_seconds,
            leeway_seconds: limits.leeway_seconds,
            message_chars: limits.message_chars,
        },
    };
    let mut response = json(StatusCode::OK, &view, 1)?;
    public(&mut response);
    headers::insert(&mut response, header::CACHE_CONTROL, "no-store");
    Ok(response)
}
