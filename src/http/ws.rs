//! `GET /ws`: opens a session, with its resume positions.

use std::rc::Rc;

use actix_web::{HttpRequest, web};

use super::query::Query;
use super::upgrade::check_upgrade;
use super::{Answer, State, authenticated};
use crate::app::authenticate;
use crate::protocol::{ApiError, Code, resume_from_query};
use crate::transport::ws::{Handshake, start};

/// Starts a session with its token, or without one until the handshake's deadline.
pub async fn upgrade(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Answer {
    if !state.origins.allow(&request) {
        return Err(ApiError::forbidden("this origin is not allowed").into());
    }
    check_upgrade(&request)?;
    takes_sessions(&state)?;
    let client = state.addresses.of(&request);
    state.app.handshakes().connect(client)?;
    let claims = authenticated::claims(&request, &state.app).await?;
    let resume =
        Query::from_request(&request)?.text("resume")?.map(resume_from_query).transpose()?;
    let resume = resume.unwrap_or_default();
    let handshake = match claims {
        Some(claims) => {
            let admitted = authenticate::connect(&state.app, claims, resume).await?;
            takes_sessions(&state)?;
            Handshake::Authenticated(Box::new(admitted))
        }
        None => Handshake::Unauthenticated(state.app.handshakes().permit(client)?, resume),
    };
    let (app, clock) = (state.app.clone(), Rc::clone(&state.clock));
    let client = client.map(|client| client.address);
    start(&request, payload.into_inner(), app, clock, handshake, client).map_err(|error| {
        ApiError::new(Code::BadRequest, format!("not a WebSocket upgrade: {error}")).into()
    })
}

/// Refuses a session while the node leaves. The client tries again, and the balancer sends it to
/// another node.
fn takes_sessions(state: &State) -> Result<(), ApiError> {
    let gone = || ApiError::new(Code::Unavailable, "the server is going away, try again");
    state.app.takes_sessions().then_some(()).ok_or_else(gone)
}
