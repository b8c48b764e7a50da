//! Origin rule: the web pages that may use the server, for requests and WebSocket upgrades.

use std::array;
use std::sync::{Arc, OnceLock};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

use crate::metrics::Metrics;

/// Refused origins that are logged, once each: an attacker can invent more.
const MOST_LOGGED: usize = 100;
/// Characters of a refused origin that are logged; no real host has more.
const LOGGED_CHARS: usize = 270;

/// The listed origins, as browsers write them, and the refused ones.
pub struct Origins {
    listed: Vec<String>,
    /// Filled from the front.
    refused: [OnceLock<String>; MOST_LOGGED],
    metrics: Arc<Metrics>,
}

impl Origins {
    #[must_use]
    pub fn new(listed: Vec<String>, metrics: Arc<Metrics>) -> Self {
        Self { listed, refused: array::from_fn(|_| OnceLock::new()), metrics }
    }

    /// True if the pages of all origins are allowed.
    #[must_use]
    pub fn lists_all(&self) -> bool {
        self.listed.iter().any(|listed| listed == "*")
    }

    /// Admits pages of the server's own host, and of listed origins. Clients other than browsers
    /// send no `Origin`, and are admitted.
    #[must_use]
    pub fn allow(&self, request: &HttpRequest) -> bool {
        let headers = request.headers();
        headers.get_all(header::ORIGIN).all(|origin| is_allowed(origin, headers, &self.listed))
    }

    /// The same for one origin, whoever asks.
    #[must_use]
    pub fn allows(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        is_allowed(origin, headers, &self.listed)
    }

    /// The same for one origin, for the middleware, which sees every request once: refusals are
    /// counted and logged, since a page's user sees no reason.
    pub fn admit(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let is_allowed = self.allows(origin, headers);
        if !is_allowed {
            self.metrics.origins_refused.inc();
            if let Some(origin) = self.remember(origin) {
                log::warn!(
                    "pages of the origin {origin} are refused; server.allowed_origins could list it"
                );
            }
        }
        is_allowed
    }

    /// A refused origin, in printable characters, if it must be logged.
    fn remember(&self, origin: &HeaderValue) -> Option<String> {
        let text = String::from_utf8_lossy(origin.as_bytes());
        let text: String = text.chars().take(LOGGED_CHARS).collect();
        let text = text.escape_default().to_string();
        for place in &self.refused {
            let mut is_new = false;
            let known = place.get_or_init(|| {
                is_new = true;
                text.clone()
            });
            if is_new {
                return Some(text);
            }
            if *known == text {
                return None;
            }
        }
        None
    }
}

fn is_allowed(origin: &HeaderValue, headers: &HeaderMap, listed: &[String]) -> bool {
    if listed.iter().any(|listed| listed == "*") {
        return true;
    }
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_own(origin, host))
        || listed.iter().any(|listed| origin.eq_ignore_ascii_case(listed))
}

/// True if the origin's host and port are the request's. Schemes are not compared: behind a proxy
/// that ends TLS they differ.
fn is_own(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    // Browsers leave out the scheme's default port; a proxy may add it.
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
    use actix_web::test::TestRequest;

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
        let listed = ["https://app.example.org", "https://shop.example.org"];
        assert!(allowed("https://app.example.org", "desk.example.org", &listed));
        assert!(allowed("https://shop.example.org", "desk.example.org", &listed));
        assert!(!allowed("http://app.example.org", "desk.example.org", &listed));
        assert!(!allowed("https://app.example.org:8443", "desk.example.org", &listed));
        assert!(allowed("https://anyone.example", "desk.example.org", &["*"]));
        assert!(allowed("null", "desk.example.org", &["*"]));
        assert!(allowed("null", "desk.example.org", &["null"]));
        assert!(!allowed("null", "desk.example.org", &listed));
    }

    #[test]
    fn a_refused_origin_is_logged_once_and_counted_each_time() {
        let origins = Origins::new(vec![], Arc::new(Metrics::new()));
        let header = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a header");
        for _ in 0..3 {
            assert!(!origins.admit(&header("https://evil.example"), &HeaderMap::new()));
        }
        assert_eq!(origins.metrics.origins_refused.get(), 3);
        assert_eq!(origins.remember(&header("https://evil.example")), None);
        assert_eq!(origins.remember(&header("\tx\u{e9}")).as_deref(), Some("\\tx\\u{e9}"));
        let long = origins.remember(&header(&"x".repeat(5000))).expect("it is new");
        assert_eq!(long.len(), LOGGED_CHARS);
        let logged = (0..2 * MOST_LOGGED)
            .filter_map(|i| origins.remember(&header(&format!("https://{i}.example"))))
            .count();
        assert_eq!(logged, MOST_LOGGED - 3, "three were there already");
    }
}
