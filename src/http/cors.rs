//! Cross-origin resource sharing: the web pages that may use the server.

use std::sync::Arc;

use actix_cors::{Cors, CorsError};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::Next;

use super::{Origins, Problem};
use crate::protocol::ApiError;

/// Seconds for which a browser may cache a preflight.
const MAX_AGE: usize = 3600;

/// The CORS middleware. A page that is not allowed gets no headers, so its browser withholds the
/// answer.
pub fn cors(origins: Arc<Origins>) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, head| origins.admit(origin, head.headers()))
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "DELETE"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            // Headers that tracing libraries add to every request of a page.
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("tracestate"),
            HeaderName::from_static("baggage"),
        ])
        .expose_headers([header::RETRY_AFTER])
        .max_age(MAX_AGE)
}

/// The same for clients that ask for credentials, as Socket.IO's often do; none are used. Never where
/// all origins are allowed.
pub fn with_credentials(origins: Arc<Origins>) -> Cors {
    let lists_all = origins.lists_all();
    let cors = cors(origins);
    if lists_all { cors } else { cors.supports_credentials() }
}

/// Converts the refusals of [`cors()`], which are plain text, to problem details.
///
/// # Errors
/// The inner service's errors.
pub async fn refuse_in_form(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, actix_web::Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let refused = response.response().error().and_then(|error| error.as_error::<CorsError>());
    let Some(words) = refused.map(ToString::to_string) else { return Ok(response) };
    let problem = Problem::from(ApiError::forbidden(words));
    Ok(ServiceResponse::from_err(problem, response.into_parts().0))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;
    use crate::metrics::Metrics;

    /// The preflight's answer to a page of `origin`.
    async fn asked(method: Method, origin: &str) -> HttpResponse<()> {
        let metrics = Arc::new(Metrics::new());
        let app = App::new()
            .wrap(cors(Arc::new(Origins::new(vec!["https://app.example.org".to_owned()], metrics))))
            .route("/", web::post().to(HttpResponse::NoContent));
        let request = TestRequest::default()
            .method(method)
            .insert_header((header::ORIGIN, origin))
            .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "POST"))
            .insert_header((
                header::ACCESS_CONTROL_REQUEST_HEADERS,
                "authorization,content-type,idempotency-key,x-request-id,traceparent,tracestate,baggage",
            ));
        let response = call_service(&init_service(app).await, request.to_request()).await;
        response.into_parts().1.drop_body()
    }

    fn allowed_origin(response: &HttpResponse<()>) -> Option<&[u8]> {
        response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(HeaderValue::as_bytes)
    }

    #[actix_web::test]
    async fn a_page_that_is_allowed_may_send_a_message_with_its_token() {
        for (method, status) in
            [(Method::OPTIONS, StatusCode::OK), (Method::POST, StatusCode::NO_CONTENT)]
        {
            let response = asked(method, "https://app.example.org").await;
            assert_eq!(response.status(), status);
            assert_eq!(allowed_origin(&response), Some(&b"https://app.example.org"[..]));
        }
    }

    #[actix_web::test]
    async fn an_answer_is_kept_from_a_page_that_is_not() {
        for method in [Method::OPTIONS, Method::POST] {
            let response = asked(method, "https://evil.example").await;
            assert_eq!(allowed_origin(&response), None);
        }
    }
}
