//! `frontdesk doctor`: tries what the server will need, and says what to do.

use std::io::{self, Write};
use std::time::Duration;

use frontdesk::application;
use frontdesk::auth::{KeySetReader, Verifier};
use frontdesk::cluster;
use frontdesk::db::{self, Store};
use frontdesk::domain::Timestamp;
use frontdesk::settings::Settings;
use frontdesk::tls::Certificate;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

/// Difference of clocks that tokens and limits take.
const CLOCKS: Duration = Duration::from_secs(2);
/// Open files below which a node holds few sessions: each is one.
const FILES: u64 = 16_384;
/// Bytes of a secret that nobody guesses.
const SECRET_BYTES: usize = 32;

/// Outcome of a check.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    /// It works, and may not be what is meant.
    Warning,
    /// The server would not start, or lose what it promises to keep.
    Failure,
}

#[derive(Serialize)]
struct Finding {
    check: &'static str,
    outcome: Outcome,
    /// Words on what was found, and on what to do.
    text: String,
}

#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.0.push(Finding { check, outcome: Outcome::Ok, text: text.into() });
    }

    fn warning(&mut self, check: &'static str, text: impl Into<String>) {
        self.0.push(Finding { check, outcome: Outcome::Warning, text: text.into() });
    }

    fn failure(&mut self, check: &'static str, text: impl Into<String>) {
        self.0.push(Finding { check, outcome: Outcome::Failure, text: text.into() });
    }
}

/// Runs all checks, and prints a line for each. `false` if one failed.
///
/// # Errors
/// Nobody reads the output.
pub async fn run(settings: &Settings, json: bool) -> anyhow::Result<bool> {
    let mut report = Report::default();
    database(settings, &mut report).await;
    redis(settings, &mut report).await;
    broker(settings, &mut report).await;
    keys(settings, &mut report).await;
    certificate(settings, &mut report);
    files(&mut report);
    origins(settings, &mut report);
    for warning in settings.warnings() {
        report.warning("settings", warning);
    }
    for finding in &report.0 {
        let line = match json {
            true => serde_json::to_string(finding)?,
            false => {
                let outcome = match finding.outcome {
                    Outcome::Ok => "ok",
                    Outcome::Warning => "warning",
                    Outcome::Failure => "FAILURE",
                };
                format!("{outcome:8} {:12} {}", finding.check, finding.text)
            }
        };
        writeln!(io::stdout(), "{line}")?;
    }
    Ok(report.0.iter().all(|finding| finding.outcome != Outcome::Failure))
}

async fn database(settings: &Settings, report: &mut Report) {
    let config = db::Config { create: false, ..application::database(settings) };
    match db::check(&config) {
        Ok(Some(warning)) => report.warning("database", warning),
        Ok(None) => {}
        Err(error) => return report.failure("database", error.to_string()),
    }
    let store = match Store::connect(&config).await {
        Ok(store) => store,
        Err(error) => return report.failure("database", error.to_string()),
    };
    report.ok("database", store.describe());
    match store.migrations().await {
        Err(error) => report.failure("migrations", error.to_string()),
        Ok(migrations) => {
            let missing = migrations.iter().filter(|migration| !migration.applied).count();
            match missing {
                0 => report.ok("migrations", format!("all {} were run", migrations.len())),
                count => report.warning(
                    "migrations",
                    format!(
                        "{count} are missing: the next start runs them, or `frontdesk migrate up`"
                    ),
                ),
            }
        }
    }
    match store.weaknesses().await {
        Err(error) => report.failure("durability", error.to_string()),
        Ok(weak) if weak.is_empty() => report.ok("durability", "a commit waits for the disk"),
        Ok(weak) => {
            for weakness in weak {
                match settings.database.weak_durability {
                    true => report.warning("durability", weakness),
                    false => report.failure("durability", weakness),
                }
            }
        }
    }
    let before = Timestamp::now();
    match store.now().await {
        Err(error) => report.failure("clock", error.to_string()),
        Ok(theirs) => {
            let after = Timestamp::now();
            if theirs < before.before(CLOCKS) || theirs > after.after(CLOCKS) {
                report.warning(
                    "clock",
                    format!(
                        "here it is {after}, in the database {theirs}: run an NTP client on both"
                    ),
                );
            } else {
                report.ok("clock", "the database's and this one agree");
            }
        }
    }
}

async fn redis(settings: &Settings, report: &mut Report) {
    match cluster::try_redis(&settings.redis).await {
        None => {}
        Some(Ok(name)) => report.ok("redis", name),
        Some(Err(error)) => report.failure("redis", error),
    }
}

async fn broker(settings: &Settings, report: &mut Report) {
    if !settings.rabbitmq.is_on() {
        return;
    }
    match frontdesk::amqp::try_connect(&settings.rabbitmq).await {
        Ok(name) => report.ok("rabbitmq", name),
        Err(error) => report.failure("rabbitmq", format!("{error:#}")),
    }
}

async fn keys(settings: &Settings, report: &mut Report) {
    if let Err(error) = settings.require_key() {
        return report.failure("keys", error.to_string());
    }
    let found = KeySetReader::new(&settings.auth).map(Option::unzip).and_then(|(set, _)| {
        match settings.auth.has_foreign_keys() {
            true => Verifier::new(&settings.auth, &settings.limits, None, set).map(drop),
            false => Ok(()),
        }
    });
    if let Err(error) = found {
        return report.failure("keys", error.to_string());
    }
    match KeySetReader::try_once(&settings.auth).await {
        Some(Ok(found)) => return report.ok("keys", found),
        Some(Err(problem)) => return report.failure("keys", problem),
        None => {}
    }
    match &settings.auth.secret {
        Some(secret) if secret.expose().len() < SECRET_BYTES => report.warning(
            "keys",
            format!(
                "auth.secret has fewer than {SECRET_BYTES} bytes: `openssl rand -hex 32` makes one"
            ),
        ),
        _ => report.ok("keys", "tokens can be verified"),
    }
}

fn certificate(settings: &Settings, report: &mut Report) {
    let server = &settings.server;
    if let (Some(certificate), Some(key)) = (&server.tls_cert_file, &server.tls_key_file) {
        match Certificate::read(certificate, key) {
            Ok(_) => report.ok("tls", certificate.display().to_string()),
            Err(error) => report.failure("tls", error),
        }
    }
}

fn files(report: &mut Report) {
    let limit = getrlimit(Resource::Nofile).current;
    match limit {
        Some(most) if most < FILES => report.warning(
            "files",
            format!(
                "this process may open {most} files, and each session is one: raise it with `ulimit -n`, \
                 or LimitNOFILE= of systemd"
            ),
        ),
        Some(most) => report.ok("files", format!("{most} may be open")),
        None => report.ok("files", "any number may be open"),
    }
}

fn origins(settings: &Settings, report: &mut Report) {
    let listed = &settings.server.allowed_origins;
    if listed.iter().any(|origin| origin == "*") {
        report.warning(
            "origins",
            "server.allowed_origins has *: any page may use a token that it has; list your own",
        );
    } else if listed.is_empty() {
        report.ok(
            "origins",
            "pages of the server's own host alone (server.allowed_origins is empty)",
        );
    } else {
        report.ok("origins", listed.join(", "));
    }
}
