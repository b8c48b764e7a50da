//! A connection to Redis.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use super::resp::{self, Value};
use crate::tls;

/// The deadline for a connection, and for each answer.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// Free bytes for each read.
const READ_BYTES: usize = 64 * 1024;
const DEFAULT_PORT: u16 = 6379;

/// A server, its credentials, and TLS. Its errors quote no part of the URL.
#[derive(Clone)]
pub struct Server {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    tls: Option<TlsConnector>,
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

pub struct Connection {
    socket: Box<dyn Socket>,
    unread: Vec<u8>,
}

impl Server {
    /// Reads a `redis://` or `rediss://` URL.
    ///
    /// # Errors
    /// A text that names the setting.
    pub fn parse(url: &str, ca_file: Option<&Path>) -> Result<Self, String> {
        const SHAPE: &str = "redis.url must look like redis://USER:PASSWORD@HOST:PORT, or rediss:// \
            for TLS, with other characters than letters and digits in the password as %XX.";
        let url: Url = url.parse().map_err(|_| SHAPE.to_owned())?;
        let tls = match (url.scheme(), ca_file) {
            ("redis", Some(_)) => {
                return Err("redis.ca_file has no effect without rediss:// in redis.url.".into());
            }
            ("redis", None) => None,
            ("rediss", _) => {
                let config = tls::client_config(ca_file)
                    .map_err(|error| format!("redis.ca_file {error}."))?;
                Some(TlsConnector::from(Arc::new(config)))
            }
            _ => return Err(SHAPE.to_owned()),
        };
        if !matches!(url.path(), "" | "/" | "/0") || url.query().is_some() {
            return Err("redis.url ends with the port: messages are in no database.".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(SHAPE)?;
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text).decode_utf8().map(|text| text.into_owned())
        };
        let user = decoded(url.username()).map_err(|_| SHAPE.to_owned())?;
        let password = url.password().map(decoded).transpose().map_err(|_| SHAPE.to_owned())?;
        Ok(Self {
            // Of an IPv6 address.
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(DEFAULT_PORT),
            user: if user.is_empty() { "default".to_owned() } else { user },
            password,
            tls,
        })
    }

    /// Names the server without a secret.
    pub fn describe(&self) -> String {
        format!("redis {}:{}", self.host, self.port)
    }

    /// The server that a `MOVED` names: another member of a cluster.
    pub fn moved(&self, error: &str) -> Option<Self> {
        let (host, port) = error.strip_prefix("MOVED ")?.split(' ').nth(1)?.rsplit_once(':')?;
        // Without a host it is the same one.
        let host = if host.is_empty() { self.host.clone() } else { host.to_owned() };
        Some(Self { host, port: port.parse().ok()?, ..self.clone() })
    }

    /// Connects and logs in. Returns with it `true` if the server is a member of a cluster.
    ///
    /// # Errors
    /// A text without a secret.
    pub async fn connect(&self) -> Result<(Connection, bool), String> {
        let late = |_| format!("{}: no connection opened in time", self.describe());
        let connected = timeout(DEADLINE, self.open()).await.map_err(late)?;
        connected.map_err(|error| format!("{}: {error}", self.describe()))
    }

    async fn open(&self) -> Result<(Connection, bool), String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let socket: Box<dyn Socket> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone());
                let name = name.map_err(|error| error.to_string())?;
                let stream = tls.connect(name, stream).await;
                Box::new(stream.map_err(|error| error.to_string())?)
            }
        };
        let mut connection = Connection { socket, unread: Vec::new() };
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"2"];
        if let Some(password) = &self.password {
            hello.extend([b"AUTH".as_slice(), self.user.as_bytes(), password.as_bytes()]);
        }
        let mut command = Vec::new();
        resp::write(&hello, &mut command);
        connection.write(&command).await?;
        // An error quotes nothing of what was sent.
        match connection.read().await? {
            Value::Array(fields) => Ok((connection, is_cluster(&fields))),
            Value::Error(error) => Err(error),
            _ => Err("it does not answer as Redis does".to_owned()),
        }
    }
}

/// Reads the mode among the fields and values of a greeting.
fn is_cluster(fields: &[Value]) -> bool {
    fields.windows(2).any(|pair| match pair {
        [Value::Text(field), Value::Text(value)] => field == b"mode" && value == b"cluster",
        _ => false,
    })
}

impl Connection {
    /// # Errors
    /// The connection is lost.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let written = async {
            self.socket.write_all(bytes).await?;
            self.socket.flush().await
        };
        written.await.map_err(|error| error.to_string())
    }

    /// The next value. Safe to cancel.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn read(&mut self) -> Result<Value, String> {
        loop {
            if let Some((value, length)) = resp::read(&self.unread)? {
                self.unread.drain(..length);
                return Ok(value);
            }
            self.unread.reserve(READ_BYTES);
            match self.socket.read_buf(&mut self.unread).await {
                Ok(0) => return Err("the connection was closed".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_server_and_its_password_is_never_shown() {
        let server = Server::parse("rediss://kim:hunter%402@redis.example.org:7000", None).unwrap();
        assert_eq!(server.describe(), "redis redis.example.org:7000");
        assert_eq!(server.password.as_deref(), Some("hunter@2"));
        assert_eq!(server.user, "kim");
        let server = Server::parse("redis://:hunter2@[::1]", None).unwrap();
        assert_eq!((server.describe(), server.user), ("redis ::1:6379".into(), "default".into()));
        for url in [
            "http://:hunter2@redis",
            "redis:hunter2",
            "redis://:hunter2@redis/7",
            "redis://:hunter2@redis?a=b",
            "redis://:hunter2@redis:port",
        ] {
            let error = Server::parse(url, None).err().unwrap();
            assert!(error.contains("redis.url") && !error.contains("hunter2"), "{error}");
        }
        let ca_file = Some(Path::new("ca.pem"));
        assert!(Server::parse("redis://redis", ca_file).is_err());
    }

    #[test]
    fn a_cluster_names_the_member_to_ask() {
        let server = Server::parse("redis://a:1", None).unwrap();
        let moved = |error| server.moved(error).map(|server| server.describe());
        assert_eq!(moved("MOVED 3999 10.0.0.1:6381").as_deref(), Some("redis 10.0.0.1:6381"));
        assert_eq!(moved("MOVED 3999 :6381").as_deref(), Some("redis a:6381"));
        for error in ["", "MOVED", "MOVED 1", "MOVED 1 a", "ERR MOVED 1 a:2", "MOVED 1 a:b"] {
            assert_eq!(moved(error), None, "{error}");
        }
    }
}
