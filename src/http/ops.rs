//! Health checks and metrics, for operators. They need no token.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::rt::time::timeout;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::{Answer, State, json, process};
use crate::domain::Stage;
use crate::metrics::ConnectionUse;
use crate::protocol::{ApiError, Code};

/// The database's deadline for a health check.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// The text format that Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Serialize)]
struct Status {
    status: &'static str,
    /// Present with a configured broker. Ignored for readiness: the server works without.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<&'static str>,
    /// Present where there can be other nodes. Ignored for readiness: what it brings is polled for.
    #[serde(skip_serializing_if = "Option::is_none")]
    backplane: Option<&'static str>,
}

/// `GET /healthz`: the process answers.
pub async fn alive() -> Answer {
    let status = Status { status: "alive", broker: None, backplane: None };
    Ok(json(StatusCode::OK, &status, 0)?)
}

/// `GET /readyz`: the server is not stopping, and the database answers.
pub async fn ready(state: web::Data<State>) -> Answer {
    let not_ready = |message: &'static str| ApiError::new(Code::Unavailable, message);
    if *state.app.stage().borrow() > Stage::Serving {
        return Err(not_ready("the server is going away").into());
    }
    let (metrics, store) = (&state.metrics, state.app.store());
    let shown = |is_connected| if is_connected { "connected" } else { "away" };
    let is_connected = |to| metrics.connected(to).get() == 1;
    let broker = state.settings.rabbitmq.is_on().then(|| {
        shown(is_connected(ConnectionUse::Publish) && is_connected(ConnectionUse::Consume))
    });
    let backplane = store.is_postgres().then(|| shown(metrics.backplane_connected.get() == 1));
    match timeout(PING_TIMEOUT, store.ping()).await {
        Ok(Ok(())) => Ok(json(StatusCode::OK, &Status { status: "ready", broker, backplane }, 0)?),
        Ok(Err(_)) | Err(_) => Err(not_ready("the database does not answer").into()),
    }
}

/// `GET /metrics`: some are measured now.
pub async fn metrics(state: web::Data<State>) -> HttpResponse {
    let (metrics, store) = (&state.metrics, state.app.store());
    let is_up = matches!(timeout(PING_TIMEOUT, store.ping()).await, Ok(Ok(())));
    metrics.database_up.set(i64::from(is_up));
    let pool = store.pool();
    metrics.set_pool(pool.busy, pool.idle, pool.waiting);
    process::measure(metrics);
    HttpResponse::Ok().content_type(OPENMETRICS).body(metrics.encode())
}
