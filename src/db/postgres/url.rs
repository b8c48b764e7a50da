//! Parser of `postgres://` URLs. Errors never quote the URL: any part of it may be a password.

use std::path::Path;

use tokio_postgres::config::SslMode;

use crate::db::StoreError;

/// Parameters of other clients that are not supported, with the alternative.
const ELSEWHERE: [(&str, &str); 9] = [
    ("sslrootcert", "set database.ca_file to that file"),
    ("sslcert", "certificates of clients are not supported; leave it out"),
    ("sslkey", "certificates of clients are not supported; leave it out"),
    ("sslpassword", "certificates of clients are not supported; leave it out"),
    ("sslcrl", "lists of revoked certificates are not supported; leave it out"),
    ("passfile", "give the password in the URL"),
    ("service", "give the host and the database in the URL"),
    ("client_encoding", "it is UTF8 always; leave it out"),
    ("pgbouncer", "a pooler must be in session mode, and then nothing is to be said; leave it out"),
];

/// Parses the URL. `require` means `verify-full`: with TLS, the certificate and the host's name are
/// always checked.
pub fn parse(url: &str, ca_file: Option<&Path>) -> Result<tokio_postgres::Config, StoreError> {
    let refused = |said: String| StoreError::Setup(format!("database.url: {said}."));
    let (place, query) = match url.rsplit_once('?') {
        // A password may have one, too; then the rest is not a list of parameters.
        Some((place, query)) if !query.contains(['@', '/']) || place.contains('@') => {
            (place, query)
        }
        _ => (url, ""),
    };
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let Some((key, instead)) = ELSEWHERE.iter().find(|(known, _)| *known == key) {
            return Err(refused(format!("the parameter {key} is not supported: {instead}")));
        }
        pairs.push(match (key, value) {
            ("sslmode", "verify-full" | "verify-ca") => "sslmode=require".to_owned(),
            ("sslmode", "disable" | "prefer" | "require") => pair.to_owned(),
            ("sslmode", _) => {
                let known = "disable, prefer, require, verify-ca or verify-full";
                return Err(refused(format!("sslmode must be {known}")));
            }
            _ => pair.to_owned(),
        });
    }
    let url = match pairs.is_empty() {
        true => url.to_owned(),
        false => format!("{place}?{}", pairs.join("&")),
    };
    // The parser's own error is left out: it may quote the password.
    let config: tokio_postgres::Config = url.parse().map_err(|_| {
        refused(
            "it cannot be read, or has a parameter that is not known; it should look like \
             postgres://user:password@host:port/database?sslmode=require"
                .to_owned(),
        )
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(refused("it names no host".to_owned()));
    }
    if ca_file.is_some() && config.get_ssl_mode() == SslMode::Disable {
        return Err(refused("sslmode=disable makes no use of database.ca_file".to_owned()));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://kim:hunter2@db/desk";

    #[test]
    fn verifying_is_what_require_means() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let config = parse(&format!("{URL}?connect_timeout=3&sslmode={mode}"), None).unwrap();
            assert_eq!(config.get_ssl_mode(), SslMode::Require, "{mode}");
        }
        assert_eq!(parse(URL, None).unwrap().get_ssl_mode(), SslMode::Prefer);
    }

    #[test]
    fn a_parameter_that_is_refused_is_named() {
        for (query, named) in [
            ("sslrootcert=/hunter2.pem", "database.ca_file"),
            ("sslmode=allow", "verify-full"),
            ("sslcert=a", "sslcert"),
            ("hunter2=1", "parameter"),
        ] {
            let said = parse(&format!("{URL}?{query}"), None).unwrap_err().to_string();
            assert!(said.contains(named) && !said.contains("hunter2"), "{said}");
        }
        let plain = format!("{URL}?sslmode=disable");
        assert!(parse(&plain, Some(Path::new("ca.pem"))).is_err());
        assert!(parse("postgres:///desk", None).is_err());
    }
}
