//! TLS: towards other servers, with the system's roots or one file of them, and of this one, with a
//! certificate that is read again while it serves. aws-lc-rs does the cryptography.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::sync::watch;

/// A configuration that trusts `ca_file` alone, if there is one.
///
/// # Errors
/// A file that cannot be read; the text names it.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?
            {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
        }
        None => {
            // Roots that rustls cannot read are skipped.
            let system = rustls_native_certs::load_native_certs().certs;
            let (_read, _unread) = roots.add_parsable_certificates(system);
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The certificate of this server, and the files that it is read from.
pub struct Certificate {
    certificate_file: PathBuf,
    key_file: PathBuf,
    current: watch::Sender<Arc<CertifiedKey>>,
}

/// The newest certificate, for each handshake.
#[derive(Debug)]
struct Newest(watch::Receiver<Arc<CertifiedKey>>);

impl ResolvesServerCert for Newest {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.borrow()))
    }
}

impl Certificate {
    /// Reads the certificate, with its chain, and the private key: PEM files.
    ///
    /// # Errors
    /// A file that cannot be read, or a key that is not the certificate's; the text names the file.
    pub fn read(certificate_file: &Path, key_file: &Path) -> Result<Self, String> {
        let current = watch::Sender::new(Arc::new(certified(certificate_file, key_file)?));
        let (certificate_file, key_file) = (certificate_file.to_owned(), key_file.to_owned());
        Ok(Self { certificate_file, key_file, current })
    }

    /// Reads the files again. New connections get the new certificate; a failure leaves the old one.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn reload(&self) -> Result<(), String> {
        let new = certified(&self.certificate_file, &self.key_file)?;
        self.current.send_replace(Arc::new(new));
        Ok(())
    }

    /// The configuration of a server with this certificate: TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// The cryptography lacks a protocol: a mistake in this program.
    pub fn server_config(&self) -> Result<ServerConfig, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Newest(self.current.subscribe())));
        Ok(config)
    }
}

fn certified(certificate_file: &Path, key_file: &Path) -> Result<CertifiedKey, String> {
    let unreadable = |path: &Path| {
        let path = path.display().to_string();
        move |error: rustls::pki_types::pem::Error| format!("{path}: {error}")
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate_file)
        .and_then(Iterator::collect)
        .map_err(unreadable(certificate_file))?;
    if chain.is_empty() {
        return Err(format!("{}: there is no certificate in it", certificate_file.display()));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(unreadable(key_file))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| {
        format!("{} and {}: {error}", certificate_file.display(), key_file.display())
    })
}
