//! Health checks and metrics, for operators. They need no token.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::rt::time::timeout;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::{Answer, State, json};
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
}

/// `GET /healthz`: the process answers.
pub async fn alive() -> Answer {
    Ok(json(StatusCode::OK, &Status { status: "alive", broker: None }, 0)?)
}

/// `GET /readyz`: the server is not stopping, and the database answers.
pub async fn ready(state: web::Data<State>) -> Answer {
    let not_ready = |message: &'static str| ApiError::new(Code::Unavailable, message);
    if *state.app.stage().borrow() > Stage::Serving {
        return Err(not_ready("the server is going away").into());
    }
    let is_connected = |to| state.metrics.connected(to).get() == 1;
    let broker = state.settings.rabbitmq.is_on().then(|| {
        match is_connected(ConnectionUse::Publish) && is_connected(ConnectionUse::Consume) {
            true => "connected",
            false => "away",
        }
    });
    match timeout(PING_TIMEOUT, state.app.store().ping()).await {
        Ok(Ok(())) => Ok(json(StatusCode::OK, &Status { status: "ready", broker }, 0)?),
        Ok(Err(_)) | Err(_) => Err(not_ready("the database does not answer").into()),
    }
}

/// `GET /metrics`.
pub async fn metrics(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type(OPENMETRICS).body(state.metrics.encode())
}
