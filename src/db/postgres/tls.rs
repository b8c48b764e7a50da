//! TLS towards the database.

use std::error::Error as _;
use std::path::Path;

use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::StoreError;
use crate::tls;

pub type Connector = MakeRustlsConnect;

/// A TLS connector that trusts `ca_file` alone, if there is one.
pub fn connector(ca_file: Option<&Path>) -> Result<Connector, StoreError> {
    let config = tls::client_config(ca_file)
        .map_err(|error| StoreError::Setup(format!("database.ca_file {error}.")))?;
    Ok(MakeRustlsConnect::new(config))
}

/// True if the server was reached, and TLS with it failed.
pub fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .is_some_and(|inner| inner.is::<rustls::Error>())
}
