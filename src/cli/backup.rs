//! `frontdesk backup` and `frontdesk restore`.

use std::io::{self, Write};
use std::path::Path;

use frontdesk::application;
use frontdesk::db::{self, Store};
use frontdesk::settings::Settings;

/// Writes a backup into a new file, while the server runs or not.
///
/// # Errors
/// PostgreSQL, a file that exists, a database that does not answer.
pub async fn backup(store: &Store, to: &Path) -> anyhow::Result<()> {
    let has_secret = store.backup(to).await?;
    writeln!(io::stdout(), "{}", to.display())?;
    if has_secret {
        writeln!(io::stdout(), "{}.secret", to.display())?;
    }
    Ok(())
}

/// Puts a backup in the place of the database.
///
/// # Errors
/// PostgreSQL, a damaged backup, a server that runs.
pub fn restore(settings: &Settings, from: &Path) -> anyhow::Result<()> {
    let former = db::restore(&application::database(settings), from)?;
    writeln!(io::stdout(), "restored {}", from.display())?;
    if let Some(former) = former {
        writeln!(io::stdout(), "the former database is kept in {}", former.display())?;
    }
    Ok(())
}
