//! A TCP proxy that can be cut: a database that goes away and comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Stands between an app and its PostgreSQL.
pub struct Proxy {
    address: SocketAddr,
    up: watch::Sender<bool>,
    /// Armed: the next `COMMIT` is passed on, and its connection cut before the answer.
    cut_at_commit: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens, and passes on to `upstream`, `host:port`.
    pub async fn to(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (up, watching) = watch::channel(true);
        let cut_at_commit = Arc::new(AtomicBool::new(false));
        let armed = Arc::clone(&cut_at_commit);
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
        Self { address, up, cut_at_commit }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and each new one at once.
    pub fn cut(&self) {
        self.up.send_replace(false);
    }

    /// Passes on again.
    pub fn restore(&self) {
        self.up.send_replace(true);
    }

    /// The next transaction that commits does, and nobody is told.
    pub fn cut_at_next_commit(&self) {
        self.cut_at_commit.store(true, Ordering::SeqCst);
    }

    /// Whether the commit that [`cut_at_next_commit`](Self::cut_at_next_commit) waits for came.
    pub fn has_cut_at_commit(&self) -> bool {
        !self.cut_at_commit.load(Ordering::SeqCst)
    }
}

/// Passes bytes both ways until one side ends, or a commit is to be cut.
async fn pass(mut downstream: TcpStream, upstream: &str, armed: &AtomicBool) {
    let Ok(mut upstream) = TcpStream::connect(upstream).await else { return };
    let _ = (upstream.set_nodelay(true), downstream.set_nodelay(true));
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = downstream.read(&mut asked) => {
                let Ok(n @ 1..) = read else { return };
                if upstream.write_all(&asked[..n]).await.is_err() {
                    return;
                }
                if contains(&asked[..n], b"COMMIT") && armed.swap(false, Ordering::SeqCst) {
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
