//! A way to PostgreSQL that breaks when it is told to.

#![expect(clippy::disallowed_types, reason = "a test tells the proxy what to do")]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where the connection of the next COMMIT breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never sees it.
    BeforeCommit,
    /// The server does it, and nobody hears so.
    AfterCommit,
}

/// Forwards a port of its own to a server's.
pub struct Proxy {
    pub port: u16,
    cut: Arc<Mutex<Option<Cut>>>,
    up: watch::Sender<bool>,
}

impl Proxy {
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let cut = Arc::new(Mutex::new(None));
        let (up, mut is_up) = watch::channel(true);
        let next_cut = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *is_up.borrow_and_update() {
                    let server = TcpStream::connect(&server).await.expect("the server");
                    tokio::spawn(forward(client, server, Arc::clone(&next_cut), is_up.clone()));
                }
            }
        });
        Self { port, cut, up }
    }

    /// Breaks the connection over which the next COMMIT comes.
    pub fn cut(&self, cut: Cut) {
        *self.cut.lock().unwrap() = Some(cut);
    }

    /// Whether the cut has been made.
    pub fn is_cut(&self) -> bool {
        self.cut.lock().unwrap().is_none()
    }

    /// Breaks all connections and takes no more.
    pub fn down(&self) {
        self.up.send_replace(false);
    }

    pub fn up(&self) {
        self.up.send_replace(true);
    }
}

/// Both sockets close when this returns.
async fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    cut: Arc<Mutex<Option<Cut>>>,
    mut up: watch::Receiver<bool>,
) {
    let (mut asked, mut answered) = ([0; 65_536], [0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = match read {
                    Ok(count) if count > 0 => &asked[..count],
                    _ => return,
                };
                let commits = bytes.windows(7).any(|window| window == b"COMMIT\0");
                let cut = if commits { cut.lock().unwrap().take() } else { None };
                if cut == Some(Cut::BeforeCommit) {
                    return;
                }
                if server.write_all(bytes).await.is_err() {
                    return;
                }
                if cut == Some(Cut::AfterCommit) {
                    let _answer = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let bytes = match read {
                    Ok(count) if count > 0 => &answered[..count],
                    _ => return,
                };
                if client.write_all(bytes).await.is_err() {
                    return;
                }
            }
            _ = up.changed() => return,
        }
    }
}
