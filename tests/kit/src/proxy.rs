//! TCP proxy that can be cut: a server that goes away and comes back.

#![expect(clippy::disallowed_types, reason = "a test tells the proxy what to do")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The point at which the connection of the next COMMIT breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never sees it.
    BeforeCommit,
    /// The server does it, and nobody hears so.
    AfterCommit,
}

/// Forwards a port of its own to a server's.
pub struct Proxy {
    address: SocketAddr,
    up: watch::Sender<bool>,
    cut: Arc<Mutex<Option<Cut>>>,
}

impl Proxy {
    /// Listens, and passes on to `upstream`, `host:port`.
    pub async fn to(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (up, watching) = watch::channel(true);
        let cut = Arc::new(Mutex::new(None));
        let armed = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((downstream, _)) = listener.accept().await {
                // While it is down, a connection is taken and dropped at once.
                if !*watching.borrow() {
                    continue;
                }
                let (mut watching, armed, upstream) =
                    (watching.clone(), Arc::clone(&armed), upstream.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = watching.wait_for(|up| !up) => {}
                        () = pass(downstream, &upstream, &armed) => {}
                    }
                });
            }
        });
        Self { address, up, cut }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and each new one at once.
    pub fn down(&self) {
        self.up.send_replace(false);
    }

    /// Passes on again.
    pub fn up(&self) {
        self.up.send_replace(true);
    }

    /// Breaks the connection over which the next COMMIT comes.
    pub fn cut(&self, cut: Cut) {
        *lock(&self.cut) = Some(cut);
    }

    /// True if the cut has been made.
    pub fn is_cut(&self) -> bool {
        lock(&self.cut).is_none()
    }
}

fn lock(cut: &Mutex<Option<Cut>>) -> std::sync::MutexGuard<'_, Option<Cut>> {
    cut.lock().expect("nobody panics with it")
}

/// Passes bytes both ways until one side ends, or a commit is to be cut.
async fn pass(mut downstream: TcpStream, upstream: &str, armed: &Mutex<Option<Cut>>) {
    let Ok(mut upstream) = TcpStream::connect(upstream).await else { return };
    let _ = (upstream.set_nodelay(true), downstream.set_nodelay(true));
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = downstream.read(&mut asked) => {
                let Ok(n @ 1..) = read else { return };
                let commits = contains(&asked[..n], b"COMMIT\0");
                let cut = if commits { lock(armed).take() } else { None };
                if cut == Some(Cut::BeforeCommit) || upstream.write_all(&asked[..n]).await.is_err() {
                    return;
                }
                if cut == Some(Cut::AfterCommit) {
                    // The answer proves that it committed; then nobody hears it.
                    let _ = upstream.read(&mut answered).await;
                    return;
                }
            }
            read = upstream.read(&mut answered) => {
                let Ok(n @ 1..) = read else { return };
                if downstream.write_all(&answered[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
