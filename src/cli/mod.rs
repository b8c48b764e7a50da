//! Commands of operators on the database: users and service keys.

mod keys;
mod output;
mod users;

use clap::Subcommand;
use frontdesk::application;
use frontdesk::db::Store;
use frontdesk::settings::Settings;

pub use keys::KeyCommand;
pub use users::UserCommand;

/// A command that works on the database.
#[derive(Subcommand)]
pub enum Operate {
    /// Users: make, list, show, block them; set their role or password
    #[command(subcommand)]
    User(UserCommand),
    /// Keys of services that call the HTTP API
    #[command(subcommand)]
    Key(KeyCommand),
}

/// Runs a command. The nodes that run learn of what it changes within two seconds.
///
/// # Errors
/// A database that does not answer or lacks a migration, and what the command refuses.
pub fn run(settings: &Settings, command: Operate) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let database = application::database(settings);
        let store = Store::connect(&frontdesk::db::Config { create: false, ..database }).await?;
        store.require_migrations().await?;
        match command {
            Operate::User(command) => users::run(&store, command).await,
            Operate::Key(command) => keys::run(&store, command).await,
        }
    })
}
