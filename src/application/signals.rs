//! Signals of the operator and the supervisor.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, which stop the server, and SIGHUP, which is ignored.
pub struct Signals {
    /// `None` where they cannot be handled.
    installed: Option<[Signal; 3]>,
}

impl Signals {
    pub fn new() -> Self {
        let install = || {
            Ok::<_, std::io::Error>([
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::hangup())?,
            ])
        };
        let installed = install()
            .inspect_err(|error| {
                log::warn!("signals cannot be handled; only a kill ends the server: {error}");
            })
            .ok();
        Self { installed }
    }

    /// Waits for the next signal that stops the server.
    pub async fn next(&mut self) {
        let Some([terminate, interrupt, hang_up]) = &mut self.installed else {
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => {
                    log::info!("SIGHUP is ignored: settings are read at the start");
                }
            }
        }
    }
}
