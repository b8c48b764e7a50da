//! Address of a request's client, for limits and log lines.

use std::net::IpAddr;
use std::sync::Once;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::forwarded::{ClientHop, client_hop};
use crate::app::ClientAddress;
use crate::settings::Network;

/// The trusted proxies, and what was said of others.
pub struct ClientAddresses {
    trusted: Vec<Network>,
    untrusted_logged: Once,
    ambiguous_logged: Once,
}

impl ClientAddresses {
    #[must_use]
    pub fn new(trusted: Vec<Network>) -> Self {
        Self { trusted, untrusted_logged: Once::new(), ambiguous_logged: Once::new() }
    }

    /// The client's address; `None` for a connection without one.
    #[must_use]
    pub fn of(&self, request: &HttpRequest) -> Option<ClientAddress> {
        Some(self.find(request.peer_addr()?.ip(), request.headers()))
    }

    fn find(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let lines = |name: HeaderName| {
            let lines: Vec<_> = headers.get_all(name).map(HeaderValue::as_bytes).collect();
            lines.into_iter()
        };
        let (listed, forwarded) = (lines(header::X_FORWARDED_FOR), lines(header::FORWARDED));
        let has_any = listed.len() + forwarded.len() > 0;
        match client_hop(peer, &self.trusted, listed, forwarded) {
            ClientHop::Peer(address) => {
                if has_any {
                    self.untrusted_logged.call_once(|| log::warn!("{}", untrusted(address)));
                }
                // A proxy on this machine that is not configured has all clients behind it.
                ClientAddress { address, is_limited: !address.is_loopback() }
            }
            ClientHop::Client(address) => ClientAddress { address, is_limited: true },
            ClientHop::Proxy(address) => ClientAddress { address, is_limited: false },
            ClientHop::Ambiguous(address) => {
                self.ambiguous_logged.call_once(|| log::warn!("{}", ambiguous(address)));
                ClientAddress { address, is_limited: true }
            }
        }
    }
}

fn untrusted(peer: IpAddr) -> String {
    format!(
        "{peer} sends X-Forwarded-For or Forwarded, which is ignored; if it is your proxy, list it: \
         FRONTDESK__SERVER__TRUSTED_PROXIES={peer} (server.trusted_proxies)"
    )
}

fn ambiguous(proxy: IpAddr) -> String {
    format!(
        "the trusted proxy {proxy} sends X-Forwarded-For and Forwarded with different clients, so \
         these count as one address; let it remove the header that it does not write itself"
    )
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn found(peer: &str, x_forwarded_for: Option<&str>, forwarded: Option<&str>) -> (String, bool) {
        let addresses = ClientAddresses::new(vec!["127.0.0.1".parse().expect("a network")]);
        let named = [("x-forwarded-for", x_forwarded_for), ("forwarded", forwarded)];
        let request = named.into_iter().fold(TestRequest::default(), |request, (name, value)| {
            value.into_iter().fold(request, |request, value| request.append_header((name, value)))
        });
        let request = request.peer_addr(peer.parse().expect(peer)).to_http_request();
        let found = addresses.of(&request).expect("an address");
        (found.address.to_string(), found.is_limited)
    }

    #[test]
    fn a_client_is_limited_and_a_proxy_that_names_none_is_not() {
        let (proxy, client) = ("127.0.0.1:1", "198.51.100.7");
        let clients = (client.to_owned(), true);
        assert_eq!(found(proxy, Some(client), None), clients);
        assert_eq!(found(proxy, None, Some("for=198.51.100.7")), clients);
        assert_eq!(found("198.51.100.7:1", Some("203.0.113.9"), None), clients);
        let proxys = ("127.0.0.1".to_owned(), false);
        assert_eq!(found(proxy, None, None), proxys);
        assert_eq!(found(proxy, Some("unknown"), None), proxys);
        assert_eq!(found("[::1]:1", Some(client), None), ("::1".to_owned(), false));
    }

    #[test]
    fn the_last_of_several_headers_counts() {
        let addresses = ClientAddresses::new(vec!["127.0.0.1".parse().expect("a network")]);
        let request = TestRequest::default()
            .append_header(("x-forwarded-for", "203.0.113.9"))
            .append_header(("x-forwarded-for", "198.51.100.7"))
            .peer_addr("127.0.0.1:1".parse().expect("an address"));
        let found = addresses.of(&request.to_http_request()).expect("an address");
        assert_eq!(found.address.to_string(), "198.51.100.7");
    }

    #[test]
    fn a_client_that_sends_the_other_header_stays_limited() {
        let limited = ("127.0.0.1".to_owned(), true);
        for forged in ["for=203.0.113.9", "for=127.0.0.1", "for=unknown", ""] {
            assert_eq!(found("127.0.0.1:1", Some("198.51.100.7"), Some(forged)), limited);
        }
    }

    #[test]
    fn an_untrusted_header_is_logged_once_and_with_the_setting() {
        let addresses = ClientAddresses::new(Vec::new());
        let request = TestRequest::default().peer_addr("192.0.2.1:1".parse().expect("an address"));
        let plain = request.to_http_request();
        assert!(addresses.of(&plain).is_some() && !addresses.untrusted_logged.is_completed());
        let request = TestRequest::default().peer_addr("192.0.2.1:1".parse().expect("an address"));
        let forwarded = request.append_header(("x-forwarded-for", "198.51.100.7"));
        assert!(addresses.of(&forwarded.to_http_request()).is_some());
        assert!(addresses.untrusted_logged.is_completed());
        let line = untrusted("192.0.2.1".parse().expect("an address"));
        assert!(line.contains("FRONTDESK__SERVER__TRUSTED_PROXIES=192.0.2.1 "), "{line}");
    }
}
