//! The client's bytes of RFC 6455: the upgrade request, and frames, well built or badly.

use std::net::SocketAddr;

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

/// The first byte's mark of a frame without further fragments.
pub const FINAL: u8 = 0x80;

/// A mask keeps browsers from smuggling requests past proxies; any constant will do here, and the
/// server has the same work with it.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x3c, 0xa5];

/// The request that makes a WebSocket of a connection.
pub fn upgrade(address: SocketAddr, path: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{token}\r\n"
    )
}

/// Appends a frame's header, without the mask: it may promise any length.
#[inline]
pub fn push_header(out: &mut Vec<u8>, first: u8, masked: bool, length: u64) {
    let mask = if masked { 0x80 } else { 0 };
    out.push(first);
    match length {
        0..=125 => out.push(mask | length as u8),
        126..=0xFFFF => {
            out.push(mask | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// Appends a masked frame.
#[inline]
pub fn push_masked(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    push_header(out, first, true, payload.len() as u64);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}
