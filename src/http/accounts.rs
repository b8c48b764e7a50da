//! Built-in accounts: `/auth/…`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Answer, Authenticated, Body, State, authenticated, json};
use crate::app::log_in;
use crate::protocol::{Credentials, LogoutToken, PasswordChange, RefreshToken, SignUp};

/// `POST /auth/register`.
pub async fn register(state: web::Data<State>, request: HttpRequest, body: Body) -> Answer {
    let new: SignUp = body.read(&state)?;
    let client = state.addresses.of(&request);
    Ok(json(StatusCode::CREATED, &log_in::sign_up(&state.app, client, new).await?, 1)?)
}

/// `POST /auth/login`.
pub async fn login(state: web::Data<State>, request: HttpRequest, body: Body) -> Answer {
    let credentials: Credentials = body.read(&state)?;
    let client = state.addresses.of(&request);
    Ok(json(StatusCode::OK, &log_in::log_in(&state.app, client, credentials).await?, 1)?)
}

/// `POST /auth/refresh`.
pub async fn refresh(state: web::Data<State>, body: Body) -> Answer {
    let token: RefreshToken = body.read(&state)?;
    Ok(json(StatusCode::OK, &log_in::refresh(&state.app, token).await?, 1)?)
}

/// `POST /auth/logout`: of the refresh token in the body, or of the access token in the header.
pub async fn logout(state: web::Data<State>, request: HttpRequest, body: Body) -> Answer {
    let LogoutToken(token) = body.read(&state)?;
    let claims = authenticated::claims(&request, &state.app);
    log_in::log_out(&state.app, claims, token).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `PUT /auth/password`.
pub async fn set_password(
    state: web::Data<State>,
    who: Authenticated,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let change: PasswordChange = body.read(&state)?;
    let client = state.addresses.of(&request);
    log_in::change_password(&state.app, client, who.caller()?, change).await?;
    Ok(HttpResponse::NoContent().finish())
}
