//! Request bodies, within their limit and deadline.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::{StatusCode, header};
use actix_web::rt::time::timeout;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::{Problem, State, state};
use crate::domain::Stage;
use crate::protocol::{ApiError, Code, Request, parse_body};

/// The bytes of a body; parsed as JSON, whatever its content type.
pub struct Body(Bytes);

impl Body {
    /// Parses the body. An empty one counts as an object without fields.
    ///
    /// # Errors
    /// Anything but JSON, or an invalid field: the path is named.
    pub fn read<T: Request>(&self, state: &State) -> Result<T, ApiError> {
        let text: &[u8] = if self.0.is_empty() { b"{}" } else { &self.0 };
        parse_body(text, &state.app.request_limits())
    }
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_plain = request.headers().get_all(header::CONTENT_ENCODING).all(|encoding| {
            encoding.to_str().is_ok_and(|encoding| encoding.eq_ignore_ascii_case("identity"))
        });
        let whole = web::Bytes::from_request(request, payload);
        let state = state(request);
        Box::pin(async move {
            if !is_plain {
                let problem = "is not supported: send the body without one";
                let refused = ApiError::bad_request("Content-Encoding", problem);
                return Err(Problem::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, refused));
            }
            let state = state?;
            // An arriving body holds memory, so it has the deadline of a frame.
            let patience = state.settings.limits.heartbeat().saturating_mul(2);
            let mut stage = state.app.stage().clone();
            let arrived = tokio::select! {
                arrived = timeout(patience, whole) => arrived,
                _ = stage.wait_for(|stage| *stage == Stage::Ending) => {
                    let gone = "the server is going away, and the body has not arrived";
                    return Err(ApiError::new(Code::Unavailable, gone).into());
                }
            };
            match arrived {
                Ok(Ok(bytes)) => Ok(Self(bytes)),
                Ok(Err(error)) => Err(refused(&error).into()),
                Err(_) => {
                    let late = ApiError::bad_request("body", "did not arrive in time");
                    Err(Problem::with_status(StatusCode::REQUEST_TIMEOUT, late))
                }
            }
        })
    }
}

fn refused(error: &actix_web::Error) -> ApiError {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => ApiError::at(Code::TooLarge, "body", "is too large"),
        _ => ApiError::bad_request("body", "did not arrive whole"),
    }
}
