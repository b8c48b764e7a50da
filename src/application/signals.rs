//! Signals of the operator and the supervisor.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::tls::Certificate;

/// SIGTERM and SIGINT, which stop the server, and SIGHUP, at which the certificate is read again.
pub struct Signals {
    /// `None` where they cannot be handled.
    installed: Option<[Signal; 3]>,
    certificate: Option<Arc<Certificate>>,
}

impl Signals {
    pub fn new(certificate: Option<Arc<Certificate>>) -> Self {
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
        Self { installed, certificate }
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
                _ = hang_up.recv() => hung_up(self.certificate.as_deref()),
            }
        }
    }
}

fn hung_up(certificate: Option<&Certificate>) {
    match certificate.map(Certificate::reload) {
        None => log::info!("SIGHUP is ignored: settings are read at the start"),
        Some(Ok(())) => log::info!("SIGHUP: the TLS certificate was read again"),
        Some(Err(error)) => {
            log::error!("SIGHUP: the TLS certificate stays as it was: {error}");
        }
    }
}
