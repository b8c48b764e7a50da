//! Asks the server in this container for a path, and ends with 0 where the answer is 200.
//!
//!     health /healthz
//!
//! The image has no curl, and needs no shell for this. The port is that of FRONTDESK__SERVER__BIND. It
//! speaks plain HTTP: with `server.tls_cert_file`, or a port from a settings file, give the container another
//! health check.

use std::env;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// Longer than /readyz waits for the database, shorter than Docker waits for us.
const PATIENCE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let path = env::args().nth(1).unwrap_or_else(|| "/healthz".to_owned());
    match ask(&path) {
        Ok(answer) if answer.contains(" 200 ") => ExitCode::SUCCESS,
        Ok(answer) => failed(&path, &answer),
        Err(error) => failed(&path, &error.to_string()),
    }
}

/// The first line of the answer.
fn ask(path: &str) -> std::io::Result<String> {
    let bind = env::var("FRONTDESK__SERVER__BIND").unwrap_or_default();
    let port = bind.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    // An answer is a few hundred bytes: this is no place to be told more.
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

fn failed(path: &str, why: &str) -> ExitCode {
    eprintln!("{path}: {why}");
    ExitCode::FAILURE
}
