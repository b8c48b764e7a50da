//! The command line. Exits with 2 where the operator must set something right, with 1 where
//! something failed, with 3 where a second signal cut the stopping short.

mod cli;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use frontdesk::application::{self, Application, Stopped};
use frontdesk::auth::{AuthError, KeySetReader, Signer, TokenError, Verifier, secret};
use frontdesk::db::{self, Direction, Store, StoreError};
use frontdesk::domain::{Identity, Role, Timestamp};
use frontdesk::settings::{Backend, LogFormat, Secret, Settings, SettingsError};
use log::LevelFilter;

/// The exit code behind a second signal.
const STOPPED_AT_ONCE: i32 = 3;

/// A customer-support chat backend: one chat a customer, gapless order, nothing lost.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// A TOML file of settings, over the defaults and under the environment
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server; the default
    Serve,
    /// Print a token as your application would sign it with auth.secret
    Token(TokenArgs),
    /// Change the database's tables
    #[command(subcommand)]
    Migrate(Migrate),
    /// Look at the settings
    #[command(subcommand)]
    Config(Config),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Print the AsyncAPI document of the WebSocket's frames
    Asyncapi,
    #[command(flatten)]
    Operate(cli::Operate),
}

#[derive(Args)]
struct TokenArgs {
    /// The user's name in your application
    #[arg(long)]
    sub: String,
    /// customer or admin
    #[arg(long, default_value = "customer", value_parser = role)]
    role: Role,
    #[arg(long)]
    nickname: Option<String>,
    #[arg(long)]
    email: Option<String>,
    /// Lifetime, as 90s, 15m or 1h
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    ttl: Duration,
}

#[derive(Subcommand)]
enum Migrate {
    /// Bring the tables up to this version of the program
    Up,
    /// Take the newest migration back
    Down,
    /// List the migrations, and which of them were run
    Status,
}

#[derive(Subcommand)]
enum Config {
    /// Print the settings in effect, secrets masked, or what is wrong with them
    Check,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "a role is customer or admin".into())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The other commands print their result.
    let filter = match cli.command {
        None | Some(Command::Serve | Command::Migrate(_)) => LevelFilter::Info,
        Some(_) => LevelFilter::Warn,
    };
    let settings = Settings::load(cli.config.as_deref());
    let is_check = matches!(cli.command, Some(Command::Config(Config::Check)));
    let mut logger = env_logger::Builder::new();
    logger
        .filter_level(filter)
        .filter_module("actix_server", LevelFilter::Warn)
        // The broker's client logs every failed attempt to connect. We log what matters, once.
        .filter_module("lapin", LevelFilter::Off)
        .filter_module("tracing::span", LevelFilter::Off)
        // It logs an error for each request that cannot be parsed: anybody could fill the log.
        .filter_module("actix_http::h1::dispatcher", LevelFilter::Off)
        .parse_default_env();
    if is_check {
        // Warnings are part of its output, whatever the log level.
        logger.filter_module("frontdesk", LevelFilter::Warn);
    }
    if settings.as_ref().is_ok_and(|settings| settings.log.format == LogFormat::Json) {
        logger.format(|line, record| writeln!(line, "{}", json_line(record)));
    }
    logger.init();
    match settings.map_err(anyhow::Error::from).and_then(|settings| run(cli, settings)) {
        Ok(code) => code,
        Err(error) => {
            // Without a standard error nobody can be told.
            let _ = writeln!(io::stderr(), "frontdesk: {error:#}");
            ExitCode::from(code(&error))
        }
    }
}

fn code(error: &anyhow::Error) -> u8 {
    let for_the_operator = error.is::<SettingsError>()
        || error.is::<AuthError>()
        || error.is::<TokenError>()
        || matches!(error.downcast_ref(), Some(StoreError::Setup(_)));
    if for_the_operator { 2 } else { 1 }
}

/// A line of the log as an object: whatever is in a message, it stays one line.
fn json_line(record: &log::Record<'_>) -> serde_json::Value {
    serde_json::json!({
        "time": Timestamp::now().to_string(),
        "level": record.level().as_str(),
        "target": record.target(),
        "message": record.args().to_string(),
    })
}

fn run(cli: Cli, settings: Settings) -> anyhow::Result<ExitCode> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => return serve(settings, cli.config),
        Command::Token(args) => print_token(&settings, args)?,
        Command::Migrate(what) => migrate(&settings, &what)?,
        Command::Config(Config::Check) => check(&settings)?,
        Command::Openapi => print_document(&frontdesk::http::openapi())?,
        Command::Asyncapi => print_document(&frontdesk::protocol::describe::asyncapi())?,
        Command::Operate(command) => return cli::run(&settings, command),
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(settings: Settings, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    settings.require_key()?;
    warn(&settings);
    let first_steps =
        settings.database.url.backend() == Backend::Sqlite && !settings.auth.has_foreign_keys();
    let host = reachable_host(&settings.server.bind);
    let system = actix_web::rt::System::new();
    let stopped = system.block_on(async {
        let application = Application::build(settings).await?;
        if first_steps {
            let address = format!("{host}:{}", application.port());
            let demo =
                application.demo_key().map(|key| demo_address(application.scheme(), &address, key));
            let text =
                banner(application.scheme(), &this_program(config), &address, demo.as_deref());
            io::stdout().write_all(text.as_bytes())?;
        }
        application.run_until_stopped().await
    })?;
    match stopped {
        Stopped::Well => Ok(ExitCode::SUCCESS),
        Stopped::AtOnce => end_at_once(),
    }
}

/// Ends the process without waiting for a thread: the second signal says so.
#[expect(clippy::exit, reason = "open work is abandoned, and everything acknowledged is committed")]
fn end_at_once() -> ! {
    std::process::exit(STOPPED_AT_ONCE)
}

fn print_token(settings: &Settings, args: TokenArgs) -> anyhow::Result<()> {
    let secret = secret::existing_secret(settings)?;
    let signer = Signer::new(&settings.auth, secret.as_ref())?;
    let now = Timestamp::now();
    let identity = Identity {
        issuer: String::new(),
        subject: args.sub,
        role: Some(args.role),
        nickname: args.nickname,
        email: args.email,
        issued_at: Some(now.seconds()),
    };
    let token = signer.sign(&identity, now.after(args.ttl))?;
    // A token that the server would refuse is refused here.
    Verifier::new(&settings.auth, &settings.limits, secret.as_ref(), None)?.verify(&token, now)?;
    writeln!(io::stdout(), "{token}")?;
    Ok(())
}

fn print_document(document: &serde_json::Value) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{document:#}")?;
    Ok(())
}

fn migrate(settings: &Settings, what: &Migrate) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        // Without a database nothing can be listed or reverted, so none is created.
        let create = matches!(what, Migrate::Up);
        let database = db::Config { create, ..application::database(settings) };
        if let Some(warning) = db::check(&database)? {
            log::warn!("{warning}");
        }
        let store = Store::connect(&database).await?;
        match what {
            Migrate::Up => drop(store.migrate(Direction::Up).await?),
            Migrate::Down => drop(store.migrate(Direction::Down).await?),
            Migrate::Status => {}
        }
        for migration in store.migrations().await? {
            let state = if migration.applied { "up" } else { "down" };
            writeln!(io::stdout(), "{state:4} {}", migration.name)?;
        }
        Ok(())
    })
}

fn check(settings: &Settings) -> anyhow::Result<()> {
    settings.require_key()?;
    let (key_set, _) = KeySetReader::new(&settings.auth)?.unzip();
    if settings.auth.has_foreign_keys() {
        Verifier::new(&settings.auth, &settings.limits, None, key_set)?;
    }
    if let Some(warning) = db::check(&application::database(settings))? {
        log::warn!("{warning}");
    }
    warn(settings);
    io::stdout().write_all(toml::to_string(settings)?.as_bytes())?;
    Ok(())
}

fn warn(settings: &Settings) {
    for warning in settings.warnings() {
        log::warn!("{warning}");
    }
}

/// `bind`'s host in an address that a client on this machine can use.
fn reachable_host(bind: &str) -> String {
    match bind.rsplit_once(':').map(|(host, _)| host) {
        None | Some("0.0.0.0" | "[::]") => "127.0.0.1".into(),
        Some(host) => host.into(),
    }
}

/// The path this program was called by, so that commands in messages work when copied.
fn this_program(config: Option<PathBuf>) -> String {
    let program = std::env::args_os().next().unwrap_or_else(|| "frontdesk".into());
    let program = program.to_string_lossy();
    match config {
        Some(file) => format!("{program} --config {}", file.display()),
        None => program.into_owned(),
    }
}

/// The demo's address. The key is behind the `#`, which browsers keep to themselves.
fn demo_address(scheme: &str, address: &str, key: &Secret) -> String {
    format!("{scheme}://{address}/demo#{}", key.expose())
}

/// The first steps, for a new operator. On the standard output, which is not the log: the demo's key is
/// in it.
fn banner(scheme: &str, program: &str, address: &str, demo: Option<&str>) -> String {
    let demo = demo.map(|demo| {
        format!(
            "\n  See a customer and an agent talk, in a browser:\n    {demo}\n  \
             That address is a key: whoever has it is an agent of the demo.\n"
        )
    });
    let demo = demo.unwrap_or_default();
    let socket = if scheme == "https" { "wss" } else { "ws" };
    format!(
        r#"
frontdesk listens on {scheme}://{address}
{demo}
  A token for the customer Kim, as your application would sign it:
    {program} token --sub kim --role customer

  Say something as Kim, with websocat or any other WebSocket client:
    websocat -H="Authorization: Bearer $({program} token --sub kim --role customer)" {socket}://{address}/ws
    {{"event":"send_message","data":{{"message":"hello"}},"id":"1"}}

  See it as the support agent Ada:
    curl -H "Authorization: Bearer $({program} token --sub ada --role admin)" {scheme}://{address}/chats

"#
    )
}
