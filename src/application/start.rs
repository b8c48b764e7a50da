//! Steps of the start that refuse what cannot work, and words of the log.

use std::path::Path;

use crate::auth::DemoKeys;
use crate::db::Store;
use crate::domain::DEMO_ISSUER;
use crate::http;
use crate::settings::{self, Settings, SettingsError};
use crate::tls::Certificate;

/// State of the built-in accounts, for the log's first lines.
pub fn accounts_in_words(auth: &settings::Auth, are_on: bool) -> &'static str {
    match (are_on, auth.sign_up) {
        (true, true) => "on, and anybody may sign up as a customer (auth.sign_up)",
        (true, false) => "on, made by `frontdesk user add` alone",
        (false, _) if auth.local_accounts => "off, since auth.secret is not set",
        (false, _) => "off (auth.local_accounts)",
    }
}

/// Refuses a database that may lose what it has acknowledged, or says so loudly where that is allowed.
pub async fn check_durability(store: &Store, is_allowed: bool) -> anyhow::Result<()> {
    for weakness in store.weaknesses().await? {
        if !is_allowed {
            return Err(SettingsError::Invalid(format!(
                "The database may lose acknowledged messages: {weakness}; or set \
                 database.weak_durability = true."
            ))
            .into());
        }
        log::warn!("ACKNOWLEDGED MESSAGES MAY BE LOST (database.weak_durability): {weakness}");
    }
    Ok(())
}

/// Reads the certificate of the settings.
pub fn certificate_of(certificate: &Path, key: &Path) -> Result<Certificate, SettingsError> {
    Certificate::read(certificate, key).map_err(|error| {
        SettingsError::Invalid(format!("server.tls_cert_file and server.tls_key_file: {error}."))
    })
}

/// The demo, if it is on.
pub async fn demo(settings: &Settings, store: &Store) -> anyhow::Result<Option<http::Demo>> {
    let with_others = match settings.demo() {
        settings::Demo::Off => return Ok(None),
        settings::Demo::On => true,
        settings::Demo::Auto if store.has_users_beyond(DEMO_ISSUER).await? => return Ok(None),
        settings::Demo::Auto => false,
    };
    Ok(Some(http::Demo { keys: DemoKeys::random()?, with_others }))
}
