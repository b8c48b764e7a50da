//! `POST /demo/session`: tokens for the demo's two people, for whoever has the key of its address.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web;
use serde::Serialize;
use std::time::Duration;

use super::{Pages, headers};
use crate::auth::{AuthError, DemoPerson};
use crate::domain::{DEMO_ISSUER, Role, Timestamp};
use crate::http::{Answer, Body, State, json};
use crate::protocol::{ApiError, Code, DemoSession};

const CUSTOMER: DemoPerson = DemoPerson { subject: "kim", nickname: "Kim", role: Role::Customer };
const AGENT: DemoPerson = DemoPerson { subject: "ada", nickname: "Ada", role: Role::Admin };

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionView {
    customer: PersonView,
    agent: PersonView,
    /// Seconds.
    expires_in: u64,
}

#[derive(Serialize)]
struct PersonView {
    token: String,
    nickname: &'static str,
}

/// Signs two tokens, each time new ones.
///
/// Refused with another key than this start's, and once users who are not the demo's have come: an agent
/// of the demo would see their chats. Tokens that were given before still last, 15 minutes at most.
pub async fn session(state: web::Data<State>, pages: web::Data<Pages>, body: Body) -> Answer {
    let Some(demo) = &pages.demo else {
        return Err(ApiError::forbidden("the demo is off").into());
    };
    let DemoSession { key, seconds } = body.read(&state)?;
    if !demo.keys.opens(&key) {
        let words = "this is not the demo's key: take the address that the server printed at its \
                     last start";
        return Err(ApiError::forbidden(words).into());
    }
    if !demo.with_others && state.app.store().has_users_beyond(DEMO_ISSUER).await? {
        let words = "the demo is over, since users of yours are in the database now; \
                     web.demo = \"on\" keeps it on";
        return Err(ApiError::forbidden(words).into());
    }
    let now = Timestamp::now();
    let expires_at = now.after(Duration::from_secs(seconds));
    let sign = |person: DemoPerson| {
        let token = demo.keys.sign(person, now, expires_at).map_err(failed)?;
        Ok::<_, ApiError>(PersonView { token, nickname: person.nickname })
    };
    let view = SessionView { customer: sign(CUSTOMER)?, agent: sign(AGENT)?, expires_in: seconds };
    let mut response = json(StatusCode::OK, &view, 1)?;
    headers::insert(&mut response, header::CACHE_CONTROL, "no-store");
    Ok(response)
}

fn failed(error: AuthError) -> ApiError {
    log::error!("cannot sign a token of the demo: {error}");
    ApiError::new(Code::Internal, "a token cannot be signed")
}
