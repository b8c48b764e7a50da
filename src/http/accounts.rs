//! Built-in accounts: `/auth/…`.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Answer, Authenticated, Body, State, json};
use crate::app::log_in;
use crate::protocol::{
    ApiError, Credentials, LogoutToken, PasswordChange, RefreshToken, SignUp, TokensView,
};

/// `POST /auth/register`.
pub async fn register(state: web::Data<State>, request: HttpRequest, body: Body) -> Answer {
    let new: SignUp = body.read(&state)?;
    let client = state.addresses.of(&request);
    Ok(tokens(StatusCode::CREATED, &log_in::sign_up(&state.app, client, new).await?)?)
}

/// `POST /auth/login`.
pub async fn login(state: web::Data<State>, request: HttpRequest, body: Body) -> Answer {
    let credentials: Credentials = body.read(&state)?;
    let client = state.addresses.of(&request);
    Ok(tokens(StatusCode::OK, &log_in::log_in(&state.app, client, credentials).await?)?)
}

/// `POST /auth/refresh`.
pub async fn refresh(state: web::Data<State>, body: Body) -> Answer {
    let token: RefreshToken = body.read(&state)?;
    Ok(tokens(StatusCode::OK, &log_in::refresh(&state.app, token).await?)?)
}

/// `POST /auth/logout`: of the access token in the header, or of the refresh token in the body.
pub async fn logout(state: web::Data<State>, who: Option<Authenticated>, body: Body) -> Answer {
    let LogoutToken(token) = body.read(&state)?;
    let caller = who.as_ref().map(Authenticated::caller).transpose()?;
    log_in::log_out(&state.app, caller, token).await?;
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

/// Tokens are for the client alone, and no cache on the way.
fn tokens(status: StatusCode, tokens: &TokensView) -> Result<HttpResponse, ApiError> {
    let mut response = json(status, tokens, 1)?;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}
