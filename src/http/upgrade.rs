//! Handshake check: the headers with which a request may become a WebSocket.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};
use actix_web::http::{StatusCode, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Problem;
use crate::protocol::ApiError;
use crate::transport::ws::SUBPROTOCOL;

/// Bytes of a `Sec-WebSocket-Key`, decoded.
const KEY_BYTES: usize = 16;

/// Accepts RFC 6455's opening handshake, with a subprotocol that is spoken here.
///
/// # Errors
/// 426 for no upgrade and for another version, 400 for anything else, by the header's name.
pub fn check_upgrade(request: &HttpRequest) -> Result<(), Problem> {
    check_handshake(request)?;
    let mut offered = subprotocols(request).peekable();
    if offered.peek().is_some() && !offered.any(|protocol| protocol == SUBPROTOCOL) {
        let problem =
            format!("must name {SUBPROTOCOL}, which is what is spoken here, or be left out");
        return Err(refused("Sec-WebSocket-Protocol", &problem));
    }
    Ok(())
}

/// The subprotocols that a client offers.
pub fn subprotocols(request: &HttpRequest) -> impl Iterator<Item = &str> {
    items(request, header::SEC_WEBSOCKET_PROTOCOL)
}

fn refused(header: &str, problem: &str) -> Problem {
    Problem::from(ApiError::bad_request(header, problem))
}

/// Accepts RFC 6455's opening handshake, whatever its subprotocol.
///
/// # Errors
/// As [`check_upgrade`].
pub fn check_handshake(request: &HttpRequest) -> Result<(), Problem> {
    let required = |header: &str, problem: &str| {
        let exception = ApiError::bad_request(header, problem);
        Problem::with_status(StatusCode::UPGRADE_REQUIRED, exception)
    };
    if request.version() < Version::HTTP_11 {
        return Err(refused("Upgrade", "needs HTTP/1.1"));
    }
    let is_upgrade =
        items(request, header::CONNECTION).any(|item| item.eq_ignore_ascii_case("upgrade"));
    // Behind one of several, or behind a body, actix-http would not leave the connection to the WebSocket.
    let is_websocket = items(request, header::UPGRADE)
        .map(|item| item.eq_ignore_ascii_case("websocket"))
        .eq([true]);
    if !is_upgrade || !is_websocket {
        return Err(required("Upgrade", "must be websocket alone, with Connection: Upgrade"));
    }
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        return Err(refused("Transfer-Encoding", "has no place in the request for a WebSocket"));
    }
    if !items(request, header::SEC_WEBSOCKET_VERSION).eq(["13"]) {
        return Err(required("Sec-WebSocket-Version", "must be 13"));
    }
    let mut keys = items(request, header::SEC_WEBSOCKET_KEY);
    let key = keys.next().filter(|_| keys.next().is_none());
    let key = key.and_then(|key| STANDARD.decode(key).ok());
    if key.is_none_or(|key| key.len() != KEY_BYTES) {
        return Err(refused("Sec-WebSocket-Key", "must be 16 bytes in base64"));
    }
    Ok(())
}

/// Items of a header's list, over all of its lines.
fn items(request: &HttpRequest, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = request.headers().get_all(name);
    // A value that is not text is an item that equals nothing.
    values.flat_map(|value| value.to_str().unwrap_or("\0").split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;

    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn request(change: (&'static str, &'static str)) -> TestRequest {
        GOOD.into_iter()
            .chain([change])
            .fold(TestRequest::get(), |request, header| request.insert_header(header))
    }

    fn status(request: TestRequest) -> u16 {
        match check_upgrade(&request.to_http_request()) {
            Ok(()) => 101,
            Err(problem) => problem.status_code().as_u16(),
        }
    }

    #[test]
    fn only_a_handshake_that_a_client_can_go_on_with_is_taken() {
        for (header, value, expected) in [
            ("x-other", "1", 101),
            ("sec-websocket-protocol", "frontdesk.v1.json", 101),
            ("sec-websocket-protocol", "chat, frontdesk.v1.json", 101),
            ("sec-websocket-protocol", "chat", 400),
            ("sec-websocket-protocol", "frontdesk.v2.json, chat", 400),
            ("sec-websocket-key", "dGhlIHNhbXBsZQ==", 400),
            ("sec-websocket-key", "not base64", 400),
            ("sec-websocket-version", "8", 426),
            ("upgrade", "h2c", 426),
            ("upgrade", "h2c, websocket", 426),
            ("upgrade", "websocket, h2c", 426),
            ("transfer-encoding", "chunked", 400),
            ("connection", "keep-alive", 426),
        ] {
            assert_eq!(status(request((header, value))), expected, "{header}: {value}");
        }
        let old = request(("x-other", "1")).version(Version::HTTP_10);
        assert_eq!(status(old), 400);
    }
}
