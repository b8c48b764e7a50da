//! The body of a request, within its limit and in time.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::rt::time::timeout;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::{Problem, State};
use crate::protocol::{Code, Exception, Request, parse_body};

/// How long a body may take to arrive: it holds memory meanwhile.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A body as it came; whatever its content type, it is read as JSON.
pub struct Body(Bytes);

impl Body {
    /// Reads what is asked for. Nothing at all counts as an object without fields.
    ///
    /// # Errors
    /// What is not JSON, or not as it must be: the path is named.
    pub fn read<T: Request>(&self, state: &State) -> Result<T, Exception> {
        let text: &[u8] = if self.0.is_empty() { b"{}" } else { &self.0 };
        parse_body(text, &state.limits())
    }
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let whole = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            match timeout(TIMEOUT, whole).await {
                Ok(Ok(bytes)) => Ok(Self(bytes)),
                Ok(Err(error)) => Err(refused(&error).into()),
                Err(_) => Err(Exception::bad_request("body", "did not arrive in time").into()),
            }
        })
    }
}

fn refused(error: &actix_web::Error) -> Exception {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => Exception::at(Code::TooLarge, "body", "is too large"),
        _ => Exception::bad_request("body", "did not arrive whole"),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;

    use super::*;

    async fn arrive(bytes: &'static [u8]) -> Result<Body, Problem> {
        let (request, mut payload) = TestRequest::post()
            .app_data(web::PayloadConfig::new(4))
            .set_payload(bytes)
            .to_http_parts();
        Body::from_request(&request, &mut payload).await
    }

    #[actix_web::test]
    async fn a_body_over_its_limit_is_too_large() {
        assert_eq!(arrive(b"1234").await.expect("a body").0, "1234");
        let problem = arrive(b"12345").await.err().expect("too large");
        assert_eq!(problem.status_code(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
