//! Refusals over HTTP: RFC 9457 problem details, with the codes that frames have.

use actix_web::body::BoxBody;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;

use crate::domain::Seq;
use crate::protocol::{ApiError, Code};

/// The media type of every refusal.
const PROBLEM_JSON: &str = "application/problem+json";
/// `Retry-After` in seconds when the server cannot name a better time.
const RETRY_AFTER_SECONDS: u64 = 1;

/// A refusal as a response; handlers return it by `?` on an [`ApiError`].
#[derive(Debug)]
pub struct Problem {
    exception: ApiError,
    status: StatusCode,
}

impl Problem {
    /// A refusal whose HTTP status is not its code's.
    pub fn with_status(status: StatusCode, exception: ApiError) -> Self {
        Self { exception, status }
    }
}

impl<E: Into<ApiError>> From<E> for Problem {
    fn from(error: E) -> Self {
        let exception = error.into();
        let status = StatusCode::from_u16(exception.code.http_status());
        Self { exception, status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR) }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.exception.code.as_str(), self.exception.message)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let Self { exception, status } = self;
        let status = *status;
        let mut response = HttpResponse::build(status);
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            response.insert_header((header::UPGRADE, "websocket"));
            response.insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
        }
        // The rest of the body may still arrive: it must not be read as the next request.
        if status == StatusCode::REQUEST_TIMEOUT {
            response.force_close();
        }
        if let Some(seconds) = retry_after(exception) {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        let errors = exception.path.as_deref().map(|path| [FieldError::new(path, exception)]);
        finish(
            response,
            &Details {
                last_seq: exception.last_seq,
                retry_after_ms: exception.retry_after_ms,
                errors,
                ..Details::new(status, exception.code.as_str(), &exception.message)
            },
        )
    }
}

/// The answer to an unknown path.
pub async fn no_route() -> HttpResponse {
    not_found("there is nothing under this path")
}

/// The answer to a page that takes the script of Socket.IO's client from the server.
pub async fn no_script() -> HttpResponse {
    not_found("the client is not served here: take socket.io-client from npm, or from a CDN")
}

fn not_found(detail: &str) -> HttpResponse {
    let status = StatusCode::NOT_FOUND;
    finish(HttpResponse::build(status), &Details::new(status, "not_found", detail))
}

/// The answer to a known path with another method.
pub fn wrong_method(method: &Method, allow: &str) -> HttpResponse {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = HttpResponse::build(status);
    response.insert_header((header::ALLOW, allow));
    let detail = format!("{method} does nothing here; what does: {allow}");
    finish(response, &Details::new(status, "method_not_allowed", &detail))
}

/// The whole seconds of `Retry-After`, rounded up: an earlier retry is refused again.
fn retry_after(exception: &ApiError) -> Option<u64> {
    match exception.code {
        Code::RateLimited | Code::Unavailable => {
            Some(exception.retry_after_ms.map_or(RETRY_AFTER_SECONDS, |ms| ms.div_ceil(1000)))
        }
        _ => None,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[FieldError<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seq: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl<'a> Details<'a> {
    fn new(status: StatusCode, code: &'static str, detail: &'a str) -> Self {
        Self {
            // The code says what happened; RFC 9457 has this for types that need no page.
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail,
            code,
            errors: None,
            last_seq: None,
            retry_after_ms: None,
        }
    }
}

/// One error of a request, and its field.
#[derive(Serialize)]
struct FieldError<'a> {
    path: &'a str,
    message: &'a str,
}

impl<'a> FieldError<'a> {
    fn new(path: &'a str, exception: &'a ApiError) -> Self {
        let message = &*exception.message;
        // The sentence begins with the path, which has its own field here.
        let message = message.strip_prefix(path).and_then(|rest| rest.strip_prefix(": "));
        Self { path, message: message.unwrap_or(&exception.message) }
    }
}

fn finish(mut response: HttpResponseBuilder, details: &Details<'_>) -> HttpResponse {
    response.content_type(PROBLEM_JSON);
    match serde_json::to_vec(details) {
        Ok(body) => response.body(body),
        Err(error) => {
            log::error!("cannot encode a problem: {error}");
            response.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{ChatId, Seq};

    async fn answer(exception: ApiError) -> (HttpResponse<()>, Value) {
        let (head, body) = Problem::from(exception).error_response().into_parts();
        let body = to_bytes(body).await.expect("a body");
        (head, serde_json::from_slice(&body).expect("JSON"))
    }

    #[actix_web::test]
    async fn a_refusal_names_the_field_it_is_about() {
        let (head, body) = answer(ApiError::bad_request("limit", "must be 1 to 100")).await;
        assert_eq!(head.headers().get(header::CONTENT_TYPE).unwrap(), PROBLEM_JSON);
        assert_eq!(
            body,
            json!({
                "type": "about:blank", "title": "Bad Request", "status": 400,
                "code": "bad_request", "detail": "limit: must be 1 to 100",
                "errors": [{"path": "limit", "message": "must be 1 to 100"}],
            })
        );
    }

    #[actix_web::test]
    async fn a_refusal_that_is_about_no_field_lists_none() {
        let (head, body) = answer(ApiError::chat_not_found(ChatId(99))).await;
        assert_eq!(head.status(), StatusCode::NOT_FOUND);
        assert_eq!(body["detail"], "chat 99 does not exist");
        assert_eq!(body.get("errors"), None);
    }

    #[actix_web::test]
    async fn a_chat_that_moved_says_where_it_is() {
        let (head, body) = answer(ApiError::chat_moved(Seq(58))).await;
        assert_eq!(head.status(), StatusCode::CONFLICT);
        assert_eq!(body["lastSeq"], 58);
    }

    #[actix_web::test]
    async fn who_is_too_fast_is_told_when_to_come_back_in_whole_seconds() {
        let (head, body) = answer(ApiError::rate_limited(1001)).await;
        assert_eq!(head.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(head.headers().get(header::RETRY_AFTER).unwrap(), "2");
        assert_eq!(body["retryAfterMs"], 1001);
        let (head, _) = answer(ApiError::unavailable()).await;
        assert_eq!(head.headers().get(header::RETRY_AFTER).unwrap(), "1");
    }

    #[actix_web::test]
    async fn who_is_not_known_is_told_how_to_show_who_they_are() {
        let (head, _) = answer(ApiError::new(Code::TokenExpired, "the token has expired")).await;
        assert_eq!(head.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(head.headers().get(header::WWW_AUTHENTICATE).unwrap(), "Bearer");
    }
}
