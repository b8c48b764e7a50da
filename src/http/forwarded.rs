//! Forwarding headers: the client behind trusted proxies (X-Forwarded-For, and RFC 7239).
//!
//! Each proxy appends the address that it was reached from, so the headers are read from their end.
//! An entry that no trusted proxy has written proves nothing: any client can send one.

use std::iter;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::settings::Network;

/// The address of a connection's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientHop {
    /// The peer itself, which is not a trusted proxy.
    Peer(IpAddr),
    /// The last hop that is not a trusted proxy.
    Client(IpAddr),
    /// The farthest trusted proxy, behind which no address is known.
    Proxy(IpAddr),
    /// The peer, a trusted proxy with two headers that differ. It has probably passed one of them on
    /// as a client sent it, and which one is unknown.
    Ambiguous(IpAddr),
}

/// Finds the client of a connection from `peer`. The lines of the headers are in their order.
pub fn client_hop<'a>(
    peer: IpAddr,
    trusted: &[Network],
    x_forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> ClientHop {
    let peer = peer.to_canonical();
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return ClientHop::Peer(peer);
    }
    let mut x_forwarded_for = x_forwarded_for
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .map(address)
        .peekable();
    let mut forwarded = forwarded
        .rev()
        .flat_map(|line| rsplit_unquoted(line, b','))
        .map(address_of_element)
        .peekable();
    let both = x_forwarded_for.peek().is_some() && forwarded.peek().is_some();
    if !both {
        return walk(peer, is_trusted, x_forwarded_for.chain(forwarded));
    }
    let found = walk(peer, is_trusted, x_forwarded_for);
    if found == walk(peer, is_trusted, forwarded) { found } else { ClientHop::Ambiguous(peer) }
}

/// Walks from the last entry backwards. An entry without an address, as `unknown`, ends the walk: it
/// was written by a trusted proxy, but those before it may not have been.
fn walk(
    peer: IpAddr,
    is_trusted: impl Fn(IpAddr) -> bool,
    entries: impl Iterator<Item = Option<IpAddr>>,
) -> ClientHop {
    let mut proxy = peer;
    for entry in entries {
        match entry {
            Some(address) if is_trusted(address) => proxy = address,
            Some(address) => return ClientHop::Client(address),
            None => break,
        }
    }
    ClientHop::Proxy(proxy)
}

/// An address, perhaps with a port. `None` for `unknown`, an obfuscated identifier, or anything else.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim();
    let bracketed = || {
        let inside = text.strip_prefix('[')?.strip_suffix(']')?;
        inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(with_port).or_else(bracketed)?;
    Some(address.to_canonical())
}

/// The address in the one `for` of an element of `Forwarded`.
fn address_of_element(element: &[u8]) -> Option<IpAddr> {
    let mut nodes = rsplit_unquoted(element, b';').filter_map(|pair| {
        let (name, value) = pair.trim_ascii().split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"for=").then_some(value)
    });
    let node = nodes.next().filter(|_| nodes.next().is_none())?;
    let unquoted = node.strip_prefix(b"\"").and_then(|node| node.strip_suffix(b"\""));
    address(unquoted.unwrap_or(node))
}

/// Splits from the end, at separators outside quoted strings. Reading from the end, a quote that a
/// client has left open cannot hide the elements that proxies have appended.
fn rsplit_unquoted(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        let at = text.iter().enumerate().rposition(|(at, byte)| {
            is_quoted ^= *byte == b'"' && !is_escaped(text, at);
            *byte == separator && !is_quoted
        });
        let split = at.and_then(|at| text.split_at_checked(at));
        let Some((before, item)) = split else { return rest.take() };
        rest = Some(before);
        item.get(1..)
    })
}

/// True behind an odd number of backslashes.
fn is_escaped(text: &[u8], at: usize) -> bool {
    let before = text.iter().take(at).rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn trusted() -> Vec<Network> {
        ["10.0.0.0/8", "2001:db8:1::/48"].map(|text| text.parse().expect(text)).to_vec()
    }

    fn found(peer: &str, x_forwarded_for: &[&str], forwarded: &[&str]) -> ClientHop {
        client_hop(
            ip(peer),
            &trusted(),
            x_forwarded_for.iter().map(|line| line.as_bytes()),
            forwarded.iter().map(|line| line.as_bytes()),
        )
    }

    #[test]
    fn a_header_of_an_untrusted_peer_is_ignored() {
        let peer = ClientHop::Peer(ip("192.0.2.1"));
        assert_eq!(found("192.0.2.1", &["198.51.100.7"], &["for=198.51.100.7"]), peer);
        assert_eq!(found("::ffff:192.0.2.1", &[], &[]), peer);
    }

    #[test]
    fn the_last_untrusted_hop_is_the_client() {
        let client = ClientHop::Client(ip("198.51.100.7"));
        for lines in [
            &["198.51.100.7"][..],
            &["203.0.113.9, 198.51.100.7"],
            &["203.0.113.9,198.51.100.7 , 10.1.1.1,10.2.2.2"],
            &["203.0.113.9", "198.51.100.7", "10.1.1.1"],
            &["unknown, \"198.51.100.7", "198.51.100.7:4711"],
            &["::ffff:198.51.100.7, [2001:db8:1::1]:80, [2001:db8:1::2], 2001:db8:1::3"],
        ] {
            assert_eq!(found("10.0.0.1", lines, &[]), client, "{lines:?}");
        }
        for lines in [
            &["for=198.51.100.7"][..],
            &["For=203.0.113.9, FOR=198.51.100.7;proto=https;by=10.0.0.1"],
            &["for=203.0.113.9", "by=_x;for=\"198.51.100.7:4711\", for=10.1.1.1"],
            &["for=\", for=198.51.100.7"],
            &["for=198.51.100.7;host=\"a, for=203.0.113.9;x=\""],
            &["for=198.51.100.7;host=\"a\\\", for=203.0.113.9\""],
            &["for=198.51.100.7, for=\"[2001:db8:1::1]:80\", for=\"[2001:db8:1::1]\""],
        ] {
            assert_eq!(found("10.0.0.1", &[], lines), client, "{lines:?}");
        }
        let six = ClientHop::Client(ip("2001:db8:2::7"));
        assert_eq!(found("2001:db8:1::1", &["2001:db8:2::7"], &[]), six);
    }

    #[test]
    fn bytes_that_are_not_text_hide_nothing_behind_them() {
        let line: &[u8] = b"\xff\xe9, 198.51.100.7";
        let found = client_hop(ip("10.0.0.1"), &trusted(), [line].into_iter(), [].into_iter());
        assert_eq!(found, ClientHop::Client(ip("198.51.100.7")));
    }

    #[test]
    fn an_entry_without_an_address_ends_the_walk_at_the_proxy_that_sent_it() {
        for entry in
            ["unknown", "_hidden", "", "1.2.3", "1.2.3.4:99999", "fe80::1%eth0", "unix:", "["]
        {
            let line = format!("198.51.100.7, {entry}");
            assert_eq!(
                found("10.0.0.1", &[&line], &[]),
                ClientHop::Proxy(ip("10.0.0.1")),
                "{entry}"
            );
            let line = format!("198.51.100.7, {entry}, 10.2.2.2");
            assert_eq!(
                found("10.0.0.1", &[&line], &[]),
                ClientHop::Proxy(ip("10.2.2.2")),
                "{entry}"
            );
        }
        for element in ["for=unknown", "for=_x", "by=10.0.0.1", "for=1.2.3.4;for=1.2.3.4", "for"] {
            let line = format!("for=198.51.100.7, {element}");
            assert_eq!(
                found("10.0.0.1", &[], &[&line]),
                ClientHop::Proxy(ip("10.0.0.1")),
                "{element}"
            );
        }
    }

    #[test]
    fn a_proxy_that_names_no_other_is_the_farthest_known() {
        assert_eq!(found("10.0.0.1", &[], &[]), ClientHop::Proxy(ip("10.0.0.1")));
        assert_eq!(
            found("10.0.0.1", &["10.3.3.3, 10.2.2.2"], &[]),
            ClientHop::Proxy(ip("10.3.3.3"))
        );
    }

    #[test]
    fn headers_that_differ_name_nobody() {
        let (client, other) = ("198.51.100.7", "203.0.113.9");
        let differ = ClientHop::Ambiguous(ip("10.0.0.1"));
        for forwarded in [format!("for={other}"), "for=unknown".to_owned(), "x".to_owned()] {
            assert_eq!(found("10.0.0.1", &[client], &[&forwarded]), differ, "{forwarded}");
        }
        let agreed = found("10.0.0.1", &[client], &[&format!("for={client};proto=http")]);
        assert_eq!(agreed, ClientHop::Client(ip(client)));
    }

    /// A piece of a header: addresses of proxies and clients, and what can confuse a parser.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let words = [
            ",203.0.113.9,",
            ",for=203.0.113.9;proto=http,",
            ",10.9.9.9,",
            "10.0.0.1",
            "10.9.9.9",
            "198.51.100.7",
            "203.0.113.9",
            "2001:db8:1::1",
            "2001:db8::9",
            "[2001:db8:1::1]:80",
            "\"[2001:db8::9]:1\"",
            "for=",
            "by=",
            ",",
            ",",
            ",",
            ";",
            "\"",
            "\\",
            " ",
            "unknown",
            "_x",
            ":80",
            "[",
            "]",
            "=",
        ];
        prop_oneof![
            9 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ]
    }

    fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let line = prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat());
        prop::collection::vec(line, 0..3)
    }

    /// Every address in a text, with a port or without.
    fn listed(text: &[u8]) -> Vec<IpAddr> {
        let text = String::from_utf8_lossy(text);
        let words = text.split(|c: char| !(c.is_ascii_hexdigit() || c == ':' || c == '.'));
        words.filter_map(|word| address(word.as_bytes())).collect()
    }

    fn is_trusted(address: IpAddr) -> bool {
        trusted().iter().any(|network| network.contains(address))
    }

    proptest! {
        #[test]
        fn any_header_gives_a_listed_address_or_the_peers(
            peer in prop::sample::select(vec!["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.1"]),
            x_forwarded_for in lines(),
            forwarded in lines(),
        ) {
            let peer = ip(peer).to_canonical();
            let found = client_hop(
                peer,
                &trusted(),
                x_forwarded_for.iter().map(Vec::as_slice),
                forwarded.iter().map(Vec::as_slice),
            );
            let text: Vec<_> = [x_forwarded_for, forwarded].concat().join(&b',');
            let listed = listed(&text);
            match found {
                ClientHop::Peer(address) => prop_assert!(address == peer && !is_trusted(peer)),
                ClientHop::Ambiguous(address) => prop_assert!(address == peer && is_trusted(peer)),
                ClientHop::Client(address) => {
                    prop_assert!(is_trusted(peer) && !is_trusted(address));
                    prop_assert!(listed.contains(&address), "{} in {:?}", address, listed);
                }
                ClientHop::Proxy(address) => {
                    prop_assert!(is_trusted(peer) && is_trusted(address));
                    let is_listed = address == peer || listed.contains(&address);
                    prop_assert!(is_listed, "{} in {:?}", address, listed);
                }
            }
        }

        /// Proxies append; whatever a client has sent stands before that.
        #[test]
        fn no_client_changes_its_address_by_what_it_sends(
            sent in lines(),
            by_forwarded in any::<bool>(),
            on_its_own_line in any::<bool>(),
        ) {
            let client = ip("198.51.100.7");
            let mut lines = sent;
            let mut appended = match by_forwarded {
                true => "for=198.51.100.7;proto=https, for=10.9.9.9".as_bytes().to_vec(),
                false => "198.51.100.7, 10.9.9.9".as_bytes().to_vec(),
            };
            match lines.pop() {
                Some(last) if !on_its_own_line => {
                    appended = [&last, &b", "[..], &appended].concat();
                }
                last => lines.extend(last),
            }
            lines.push(appended);
            let (own, none) = (lines.iter().map(Vec::as_slice), Vec::new().into_iter());
            let found = match by_forwarded {
                true => client_hop(ip("10.0.0.1"), &trusted(), none, own),
                false => client_hop(ip("10.0.0.1"), &trusted(), own, none),
            };
            prop_assert_eq!(found, ClientHop::Client(client));
        }
    }
}
