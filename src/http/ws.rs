//! `GET /ws`: who may open a socket, and what it begins with.

use actix_web::{HttpRequest, web};
use actix_web_actors::ws::WsResponseBuilder;

use super::query::Query;
use super::upgrade::{SUBPROTOCOL, check_upgrade};
use super::{Answer, State, authenticated};
use crate::actors::{Beginning, WsSession};
use crate::app::{HandshakePermit, authenticate};
use crate::protocol::{ApiError, Code, resume_from_query};

/// Lets a session in with its token, or without one for the few seconds until it shows it.
pub async fn upgrade(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Answer {
    if !state.origins.allow(&request) {
        return Err(ApiError::forbidden("this origin is not allowed").into());
    }
    check_upgrade(&request)?;
    let claims = authenticated::claims(&request, &state.app)?;
    let resume = Query::of(&request)?.text("resume")?.map(resume_from_query).transpose()?;
    let resume = resume.unwrap_or_default();
    let beginning = match claims {
        Some(claims) => {
            Beginning::Known(Box::new(authenticate::connect(&state.app, claims, resume).await?))
        }
        None => {
            let permit = HandshakePermit::take(&state.app);
            let full =
                || ApiError::new(Code::Unavailable, "too many sockets without a token, try again");
            Beginning::Unknown(permit.ok_or_else(full)?, resume)
        }
    };
    let most = state.settings.limits.frame_bytes;
    let session = WsSession::new(state.app.clone(), beginning);
    let payload = session.reader(payload.into_inner());
    let started = WsResponseBuilder::new(session, &request, payload)
        .frame_size(most)
        .protocols(&[SUBPROTOCOL])
        .start();
    started.map_err(|error| {
        ApiError::new(Code::BadRequest, format!("not a WebSocket upgrade: {error}")).into()
    })
}
