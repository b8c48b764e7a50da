//! Commands of operators: users, service keys, backup and restore, and the doctor.

mod backup;
mod doctor;
mod keys;
mod output;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use frontdesk::application;
use frontdesk::db::Store;
use frontdesk::settings::Settings;

pub use keys::KeyCommand;
pub use users::UserCommand;

/// A command of operators.
#[derive(Subcommand)]
pub enum Operate {
    /// Users: make, list, show, block them; set their role or password
    #[command(subcommand)]
    User(UserCommand),
    /// Keys of services that call the HTTP API
    #[command(subcommand)]
    Key(KeyCommand),
    /// Write a consistent copy of a SQLite database into a new file, while the server runs
    Backup {
        /// The file, and beside it FILE.secret
        file: PathBuf,
    },
    /// Put a backup in the place of the SQLite database; the server must not run
    Restore { file: PathBuf },
    /// Try what the server needs, and say what to do: exits with 1 if something would fail
    Doctor {
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command. The nodes that run learn of what it changes within two seconds.
///
/// # Errors
/// A database that does not answer or lacks a migration, and what the command refuses.
pub fn run(settings: &Settings, command: Operate) -> anyhow::Result<ExitCode> {
    actix_web::rt::System::new().block_on(async {
        match command {
            Operate::Restore { file } => {
                return backup::restore(settings, &file).map(|()| ExitCode::SUCCESS);
            }
            Operate::Doctor { json } => {
                let is_well = doctor::run(settings, json).await?;
                return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            _ => {}
        }
        let database = application::database(settings);
        let store = Store::connect(&frontdesk::db::Config { create: false, ..database }).await?;
        store.require_migrations().await?;
        match command {
            Operate::User(command) => users::run(&store, command).await?,
            Operate::Key(command) => keys::run(&store, command).await?,
            Operate::Backup { file } => backup::backup(&store, &file).await?,
            // They need no database that answers.
            Operate::Restore { .. } | Operate::Doctor { .. } => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}
