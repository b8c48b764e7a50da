//! `frontdesk key …`.

use anyhow::{Context, bail};
use clap::Subcommand;
use frontdesk::auth::ServiceKey;
use frontdesk::db::Store;
use frontdesk::domain::{KeyId, Scope, Scopes, StoredKey};
use frontdesk::protocol::KeyView;
use serde::Serialize;

use super::output::print;

/// Keys that are read at once.
const PAGE: i64 = 100;
/// The longest name, in characters: with its role it is a subject.
const NAME_CHARS: usize = 200;

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Make a key, and print it: it is shown this once
    Add {
        /// The name of the service user that the key posts as
        #[arg(long)]
        name: String,
        /// chats:read, messages:write, users:read or users:write; once for each
        #[arg(long = "scope", required = true, value_parser = scope)]
        scopes: Vec<Scope>,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the keys, revoked ones included
    List {
        /// Print a JSON object a line, as the HTTP API has it
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key: every node refuses it from now on
    Revoke {
        id: i64,
        #[arg(long)]
        json: bool,
    },
}

fn scope(word: &str) -> Result<Scope, String> {
    Scope::parse(word).ok_or_else(|| {
        let all: Vec<_> = Scope::ALL.into_iter().map(Scope::as_str).collect();
        format!("the scopes are {}", all.join(", "))
    })
}

#[derive(Serialize)]
struct NewKeyView<'a> {
    key: &'a str,
    #[serde(flatten)]
    stored: KeyView<'a>,
}

/// Runs the command.
///
/// # Errors
/// An unknown key, a name of the wrong length, a database that does not answer.
pub async fn run(store: &Store, command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Add { name, scopes, json } => {
            if !(1..=NAME_CHARS).contains(&name.chars().count()) || name.contains('\0') {
                bail!("--name must have 1 to {NAME_CHARS} characters");
            }
            let key = ServiceKey::random()?;
            let stored = store.create_key(name, key.hash(), Scopes::new(scopes)).await?;
            let view = NewKeyView { key: key.expose(), stored: KeyView::from(&stored) };
            print(json, &view, || key.expose().to_owned())
        }
        KeyCommand::List { json } => {
            let mut after = None;
            loop {
                let keys = store.keys(after, PAGE).await?;
                for key in &keys {
                    show(key, json)?;
                }
                match keys.last() {
                    Some(last) => after = Some(last.id),
                    None => return Ok(()),
                }
            }
        }
        KeyCommand::Revoke { id, json } => {
            let key = store.revoke_key(KeyId(id)).await?;
            show(&key.with_context(|| format!("there is no key {id}"))?, json)
        }
    }
}

fn show(key: &StoredKey, json: bool) -> anyhow::Result<()> {
    print(json, &KeyView::from(key), || {
        let used = key.last_used_at.map_or("never used".to_owned(), |at| format!("used {at}"));
        let revoked = key.revoked_at.map(|at| format!("  revoked {at}")).unwrap_or_default();
        format!("{:>4}  {:24}  {}  {used}{revoked}", key.id, key.name, key.scopes)
    })
}
