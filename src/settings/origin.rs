//! Origins of web pages, as configured.

use url::Url;

/// Normalizes a configured origin to the form that browsers send: without a `/` at the end, the
/// scheme's default port, upper case or letters beyond ASCII. `*` is all of them, and `null` is
/// sent by pages without an origin.
///
/// `None` if it is ambiguous: a path, a pattern, quotes.
pub(super) fn normalized(text: &str) -> Option<String> {
    let text = text.trim();
    if matches!(text, "*" | "null") {
        return Some(text.to_owned());
    }
    let (_, authority) = text.split_once("://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    // `Url` would correct or accept ambiguous input: backslashes, a user, an escape.
    let is_plain = |c: char| c.is_alphanumeric() || ".-_:[]".contains(c);
    if authority.is_empty() || !authority.chars().all(is_plain) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let origin = url.origin();
    if origin.is_tuple() {
        return Some(origin.ascii_serialization());
    }
    // An app's own scheme, as capacitor://localhost, whose host `Url` does not normalize.
    let host = url.host_str().filter(|host| !host.is_empty() && host.is_ascii())?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", url.scheme(), host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for (text, origin) in [
            ("https://app.example.org", "https://app.example.org"),
            ("https://app.example.org/", "https://app.example.org"),
            ("HTTPS://App.Example.org:443", "https://app.example.org"),
            ("http://app.example.org:80/", "http://app.example.org"),
            ("http://app.example.org:443", "http://app.example.org:443"),
            ("https://Bücher.example", "https://xn--bcher-kva.example"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://ABCdef", "chrome-extension://abcdef"),
            (" https://app.example.org ", "https://app.example.org"),
            ("null", "null"),
            ("*", "*"),
        ] {
            assert_eq!(normalized(text).as_deref(), Some(origin), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_is_no_origin() {
        for text in [
            "",
            "app.example.org",
            "https://",
            "https:///",
            "file:///",
            "https://app.example.org/chat",
            "https://app.example.org//",
            "https://app.example.org?x",
            "https://app.example.org#x",
            "https://kim@app.example.org",
            "https://*.example.org",
            "https://app.example.org:99999",
            "https://app.example.org\\",
            "https:\\\\app.example.org",
            "'https://app.example.org'",
            "[https://app.example.org]",
            "https://app.example.org]",
            "https://a b",
            "NULL",
        ] {
            assert_eq!(normalized(text), None, "{text}");
        }
    }
}
