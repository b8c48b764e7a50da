//! Which web pages may talk to the desk: one rule, for requests and for the WebSocket upgrade.

use actix_cors::Cors;
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::settings::Settings;

/// How long a browser may remember that it may ask, in seconds.
const MAX_AGE: usize = 3600;

/// The middleware that answers browsers' questions. A page that is not allowed gets no headers, so
/// its browser keeps the answer from it.
pub fn cors(settings: &Settings) -> Cors {
    allowing(settings.server.allowed_origins.clone())
}

fn allowing(listed: Vec<String>) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, head| is_allowed(origin, head.headers(), &listed))
        .allowed_methods(["GET", "HEAD", "POST", "PUT"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            // What tracing libraries add to every request of a page.
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("tracestate"),
            HeaderName::from_static("baggage"),
        ])
        .expose_headers([header::RETRY_AFTER])
        .max_age(MAX_AGE)
}

/// Whether the page that sends `request`, if it is one, may talk to the desk: one of the desk's own
/// host, or of an origin that the operator listed. Who is no browser sends no `Origin`, and may.
#[must_use]
pub fn origin_allowed(request: &HttpRequest, settings: &Settings) -> bool {
    let headers = request.headers();
    let listed = &settings.server.allowed_origins;
    headers.get_all(header::ORIGIN).all(|origin| is_allowed(origin, headers, listed))
}

fn is_allowed(origin: &HeaderValue, headers: &HeaderMap, listed: &[String]) -> bool {
    if listed.iter().any(|listed| listed == "*") {
        return true;
    }
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_own(origin, host))
        || listed.iter().any(|listed| origin.eq_ignore_ascii_case(listed.trim_end_matches('/')))
}

/// Whether the origin's host and port are those that were asked. Its scheme is not compared: a
/// proxy that ends TLS leaves no trace of it.
fn is_own(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    // Browsers leave out the port that the scheme implies; what else stands between may write it.
    let implied = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let host = host.strip_suffix(implied).unwrap_or(host);
    !host.is_empty()
        && authority.strip_suffix(implied).unwrap_or(authority).eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    fn allowed(origin: &str, host: &str, listed: &[&str]) -> bool {
        let request = TestRequest::default().insert_header((header::HOST, host)).to_http_request();
        let listed: Vec<String> = listed.iter().map(|&origin| origin.to_owned()).collect();
        let origin = HeaderValue::from_str(origin).expect("a header");
        is_allowed(&origin, request.headers(), &listed)
    }

    #[test]
    fn a_page_of_the_desks_own_host_is_allowed() {
        for (origin, host) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3000"),
            ("https://desk.example.org", "desk.example.org"),
            ("https://Desk.example.org", "desk.example.org:443"),
            ("http://[::1]:3000", "[::1]:3000"),
        ] {
            assert!(allowed(origin, host, &[]), "{origin} {host}");
        }
    }

    #[test]
    fn a_page_of_another_host_is_not() {
        for (origin, host) in [
            ("http://127.0.0.1:3001", "127.0.0.1:3000"),
            ("https://desk.example.org.evil.org", "desk.example.org"),
            ("https://evil-desk.example.org", "desk.example.org"),
            ("https://desk.example.org@evil.org", "desk.example.org"),
            ("ftp://desk.example.org", "desk.example.org"),
            ("desk.example.org", "desk.example.org"),
            ("null", "null"),
            ("https://", ""),
            ("", ""),
        ] {
            assert!(!allowed(origin, host, &[]), "{origin} {host}");
        }
    }

    #[test]
    fn a_page_that_the_operator_listed_is_allowed() {
        let listed = ["https://app.example.org", "https://shop.example.org/"];
        assert!(allowed("https://app.example.org", "desk.example.org", &listed));
        assert!(allowed("https://shop.example.org", "desk.example.org", &listed));
        assert!(!allowed("http://app.example.org", "desk.example.org", &listed));
        assert!(!allowed("https://app.example.org:8443", "desk.example.org", &listed));
        assert!(allowed("https://anyone.example", "desk.example.org", &["*"]));
        assert!(allowed("null", "desk.example.org", &["*"]));
    }

    /// What a browser is told of a page of `origin` that wants to send a message.
    async fn asked(method: Method, origin: &str) -> HttpResponse<()> {
        let app = App::new()
            .wrap(allowing(vec!["https://app.example.org".to_owned()]))
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
