//! Headers of pages, scripts and styles: what a browser may do with them.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};

/// Pages of which origins may load a resource.
pub const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Scripts and styles of the server alone; no inline ones, no frame, no form, and no text that becomes
/// markup. `'self'` covers the WebSocket.
const SOURCES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'";
const CONTENT_POLICY: &str = "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
/// Rights to a device that the pages ask for: none.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), \
    gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

/// The frames that a page may have, and be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It stands alone.
    None,
    /// It has pages of this server in it.
    Frames,
    /// It may be in a page of this server.
    Framed,
}

impl Framing {
    fn directives(self) -> &'static str {
        match self {
            Self::None => "frame-ancestors 'none'",
            Self::Frames => "frame-src 'self'; frame-ancestors 'none'",
            Self::Framed => "frame-ancestors 'self'",
        }
    }
}

/// Adds all headers that keep a page to itself, but for one further origin that it may ask.
pub fn guard_page(response: &mut HttpResponse, framing: Framing, asked: Option<&str>) {
    let asked = asked.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!("{SOURCES}{asked}; {CONTENT_POLICY}; {}", framing.directives());
    insert(response, header::CONTENT_SECURITY_POLICY, &policy);
    insert(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(response, header::REFERRER_POLICY, "no-referrer");
    insert(response, OPENER_POLICY, "same-origin");
    insert(response, PERMISSIONS_POLICY, PERMISSIONS);
}

/// Sets a header. Values are texts of this program.
pub fn insert(response: &mut HttpResponse, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(response.headers_mut().insert(name, value)),
        Err(error) => log::error!("the header {name} cannot be written: {error}"),
    }
}
