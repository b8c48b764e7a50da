//! `frontdesk user …`.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use frontdesk::auth::password::Argon2id;
use frontdesk::db::{NewAccount, Store, UserFilter};
use frontdesk::domain::{Email, Role, User, UserId};
use frontdesk::protocol::{UserView, block_reason, new_password};

use super::output::print;

/// Users that are read at once.
const PAGE: i64 = 100;

#[derive(Subcommand)]
pub enum UserCommand {
    /// Make a built-in account. Its password is asked for, or read from the standard input
    Add(Add),
    /// List users, of all issuers
    List {
        /// A part of the nickname, the e-mail or the subject
        #[arg(long)]
        query: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show a user
    Show {
        #[command(flatten)]
        user: Named,
        #[command(flatten)]
        output: Output,
    },
    /// Set a user's role: above every token that was issued before
    SetRole {
        #[command(flatten)]
        user: Named,
        #[arg(value_parser = crate::role)]
        role: Role,
        #[command(flatten)]
        output: Output,
    },
    /// Block a user: open sessions end, and tokens are refused
    Block {
        #[command(flatten)]
        user: Named,
        /// For admins, who see it; at most 500 characters
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Take a block back
    Unblock {
        #[command(flatten)]
        user: Named,
        #[command(flatten)]
        output: Output,
    },
    /// Set the password of a built-in account, and sign it out everywhere
    Password {
        #[command(flatten)]
        user: Named,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub struct Add {
    #[arg(long, value_parser = email)]
    email: Email,
    #[arg(long, default_value = "customer", value_parser = crate::role)]
    role: Role,
    #[arg(long)]
    nickname: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// A user: the number, or the e-mail of a built-in account.
#[derive(Args)]
pub struct Named {
    /// The user's id, or the e-mail of a built-in account
    user: String,
}

#[derive(Args)]
pub struct Output {
    /// Print a JSON object a line, as the HTTP API has it
    #[arg(long)]
    json: bool,
}

fn email(text: &str) -> Result<Email, String> {
    Email::parse(text).ok_or_else(|| "this is no e-mail address".into())
}

/// Runs the command.
///
/// # Errors
/// An unknown user, a taken e-mail, a password that is too short, a database that does not answer.
pub async fn run(store: &Store, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add(Add { email, role, nickname, output }) => {
            let password_hash = new_hash()?;
            let shown = email.given().to_owned();
            let new = NewAccount { email, password_hash, nickname, role };
            let user = store.create_account(new).await?;
            let user = user.with_context(|| format!("{shown} has an account already"))?;
            show(&user, &output)
        }
        UserCommand::List { query, output } => list(store, query, &output).await,
        UserCommand::Show { user, output } => show(&find(store, &user).await?, &output),
        UserCommand::SetRole { user, role, output } => {
            let user = find(store, &user).await?;
            let changed = store.set_role(user.id, role).await?;
            show(&changed.context("this is a service, whose role stays as it is")?, &output)
        }
        UserCommand::Block { user, reason, output } => {
            if let Some(reason) = &reason {
                block_reason("--reason", reason)?;
            }
            set_blocked(store, &user, (true, reason), &output).await
        }
        UserCommand::Unblock { user, output } => {
            set_blocked(store, &user, (false, None), &output).await
        }
        UserCommand::Password { user, output } => {
            let user = find(store, &user).await?;
            if store.account_of(user.id).await?.is_none() {
                bail!(
                    "user {} has no built-in account: your application keeps the password",
                    user.id
                );
            }
            store.set_password(user.id, new_hash()?, None).await?;
            show(&user, &output)
        }
    }
}

async fn set_blocked(
    store: &Store,
    named: &Named,
    (blocked, reason): (bool, Option<String>),
    output: &Output,
) -> anyhow::Result<()> {
    let user = find(store, named).await?;
    let changed = store.set_blocked(user.id, blocked, reason).await?;
    show(&changed.unwrap_or(user), output)
}

async fn list(store: &Store, query: Option<String>, output: &Output) -> anyhow::Result<()> {
    let filter = UserFilter { query, subject: None };
    let mut after = None;
    loop {
        let users = store.users(filter.clone(), after, PAGE).await?;
        for user in &users {
            show(user, output)?;
        }
        match users.last() {
            Some(last) => after = Some(last.id),
            None => return Ok(()),
        }
    }
}

async fn find(store: &Store, Named { user }: &Named) -> anyhow::Result<User> {
    let found = match (user.parse(), Email::parse(user)) {
        (Ok(id), _) => store.user(UserId(id)).await?,
        (Err(_), Some(email)) => {
            store.account(email.normal().to_owned()).await?.map(|account| account.user)
        }
        (Err(_), None) => bail!("{user:?} is neither a user's id nor an e-mail address"),
    };
    found.with_context(|| {
        format!("there is no user {user}; `frontdesk user list --query …` finds users of your application")
    })
}

fn show(user: &User, Output { json }: &Output) -> anyhow::Result<()> {
    print(*json, &UserView::from(user), || {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let issuer = if user.issuer.is_empty() { "-" } else { &user.issuer };
        let blocked = match (&user.blocked, &user.block_reason) {
            (false, _) => String::new(),
            (true, None) => "  blocked".to_owned(),
            (true, Some(reason)) => format!("  blocked: {reason:?}"),
        };
        format!(
            "{:>6}  {:8}  {:24}  {:28}  {issuer} {:?}{blocked}",
            user.id,
            user.role.as_str(),
            text(&user.nickname),
            text(&user.email),
            user.subject
        )
    })
}

/// Asks for a new password, twice on a terminal, and hashes it.
fn new_hash() -> anyhow::Result<String> {
    let password = if io::stdin().is_terminal() {
        let password = rpassword::prompt_password("New password: ")?;
        if rpassword::prompt_password("The same again: ")? != password {
            bail!("the two passwords differ");
        }
        password
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    new_password("the password", &password)?;
    Ok(Argon2id::default().hash(&password)?)
}
