//! The command line, as an operator's shell sees it: the real program in an empty directory.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by a panic")]

mod published;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use frontdesk::auth::Verifier;
use frontdesk::domain::{Role, Timestamp};
use frontdesk::settings::{Secret, Settings};
use tempfile::TempDir;

const SECRET: &str = "a secret for tests, of thirty-two bytes and more";
const POSTGRES: (&str, &str) =
    ("FRONTDESK__DATABASE__URL", "postgres://kim:hunter2@db.invalid/desk");

fn empty_dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn frontdesk(dir: &TempDir, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frontdesk"));
    command.current_dir(dir).env_clear().args(args).envs(env.iter().copied());
    command
}

fn run(dir: &TempDir, args: &[&str], env: &[(&str, &str)]) -> Output {
    frontdesk(dir, args, env).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

/// The command's output, if it succeeds without a warning.
#[track_caller]
fn printed(dir: &TempDir, args: &[&str], env: &[(&str, &str)]) -> String {
    let output = run(dir, args, env);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", stderr(&output));
    stdout(&output).to_owned()
}

/// The command's error, if the operator must correct something.
#[track_caller]
fn complaint(dir: &TempDir, args: &[&str], env: &[(&str, &str)]) -> String {
    let output = run(dir, args, env);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    assert_eq!(stdout(&output), "");
    stderr(&output).to_owned()
}

fn verifier(secret: &str, settings: &Settings) -> Verifier {
    let secret = Secret::from(secret.to_owned());
    Verifier::new(&settings.auth, &settings.limits, Some(&secret), None).unwrap()
}

fn defaults() -> Settings {
    Settings::load_from("", std::iter::empty()).unwrap()
}

#[test]
fn a_token_is_all_that_token_prints() {
    let dir = empty_dir();
    let args = ["token", "--sub", "kim", "--role", "ADMIN", "--nickname", "Kim", "--ttl", "2h"];
    let token = printed(&dir, &args, &[("FRONTDESK__AUTH__SECRET", SECRET)]);
    let now = Timestamp::now();
    let claims = verifier(SECRET, &defaults()).verify(token.trim_end(), now).unwrap();
    assert_eq!(token.lines().count(), 1);
    assert_eq!(claims.identity().subject, "kim");
    assert_eq!(claims.identity().role, Some(Role::Admin));
    assert_eq!(claims.identity().nickname.as_deref(), Some("Kim"));
    assert!((7100..=7200).contains(&(claims.expires_at().seconds() - now.seconds())));
}

#[test]
fn tokens_of_the_embedded_default_are_signed_with_the_secret_beside_the_database() {
    let dir = empty_dir();
    let made = dir.path().join("frontdesk.db.secret");
    frontdesk::auth::secret::load_or_create(&made).unwrap();
    let first = printed(&dir, &["token", "--sub", "kim"], &[]);
    let second = printed(&dir, &["token", "--sub", "sam"], &[]);
    let secret = std::fs::read_to_string(dir.path().join("frontdesk.db.secret")).unwrap();
    let verifier = verifier(secret.trim(), &defaults());
    for (token, subject) in [(first, "kim"), (second, "sam")] {
        let claims = verifier.verify(token.trim_end(), Timestamp::now()).unwrap();
        assert_eq!(claims.identity().subject, subject);
        assert_eq!(claims.identity().role, Some(Role::Customer));
    }
}

#[test]
fn a_token_has_the_issuer_and_the_audience_that_are_asked_for() {
    let dir = empty_dir();
    let file = "[auth]\nissuer = 'https://id'\naudience = ['desk', 'chat']";
    std::fs::write(dir.path().join("desk.toml"), file).unwrap();
    let env = [("FRONTDESK__AUTH__SECRET", SECRET)];
    let token = printed(&dir, &["--config", "desk.toml", "token", "--sub", "kim"], &env);
    let settings = Settings::load_from(file, std::iter::empty()).unwrap();
    let claims = verifier(SECRET, &settings).verify(token.trim_end(), Timestamp::now()).unwrap();
    assert_eq!(claims.identity().issuer, "https://id");
}

#[test]
fn no_token_is_printed_that_the_server_would_refuse() {
    let dir = empty_dir();
    let long = "a".repeat(256);
    for args in [
        ["token", "--sub", "", "--ttl", "1h"],
        ["token", "--sub", &long, "--ttl", "1h"],
        ["token", "--sub", "kim", "--ttl", "soon"],
        ["token", "--sub", "kim", "--role", "root"],
        ["token", "--sub", "kim", "--email", &long],
    ] {
        complaint(&dir, &args, &[("FRONTDESK__AUTH__SECRET", SECRET)]);
    }
    complaint(&dir, &["token"], &[]);
}

#[test]
fn with_a_public_key_only_the_application_signs() {
    let dir = empty_dir();
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/rs256.public.pem");
    let env = [
        ("FRONTDESK__AUTH__PUBLIC_KEY_FILE", key.to_str().unwrap()),
        ("FRONTDESK__AUTH__ALGORITHM", "RS256"),
    ];
    let said = complaint(&dir, &["token", "--sub", "kim"], &env);
    assert!(said.contains("auth.public_key_file"), "{said}");
    printed(&dir, &["config", "check"], &env);
    let wrong = [env[0], ("FRONTDESK__AUTH__ALGORITHM", "ES256")];
    assert!(complaint(&dir, &["config", "check"], &wrong).contains("auth.public_key_file"));
}

#[test]
fn config_check_prints_what_is_in_effect_without_its_secrets() {
    let dir = empty_dir();
    let env = [
        POSTGRES,
        ("FRONTDESK__AUTH__SECRET", SECRET),
        ("FRONTDESK__SERVER__ALLOWED_ORIGINS", "https://a.example.org,https://b.example.org"),
    ];
    let shown = printed(&dir, &["config", "check"], &env);
    assert!(!shown.contains("hunter2") && !shown.contains(SECRET), "{shown}");
    let shown: toml::Table = shown.parse().unwrap();
    assert_eq!(shown["database"]["url"].as_str(), Some("postgres://kim:***@db.invalid/desk"));
    assert_eq!(shown["auth"]["secret"].as_str(), Some("***"));
    assert_eq!(shown["server"]["allowed_origins"].as_array().unwrap().len(), 2);
    assert_eq!(shown["limits"]["burst"].as_integer(), Some(200));
}

#[test]
fn config_check_warns_whatever_is_logged() {
    let dir = empty_dir();
    let short = ("FRONTDESK__AUTH__SECRET", "short");
    for log in ["warn", "error", "off", "frontdesk=error"] {
        let output = run(&dir, &["config", "check"], &[short, ("RUST_LOG", log)]);
        assert!(output.status.success(), "{log}: {}", stderr(&output));
        assert!(stderr(&output).contains("auth.secret is shorter"), "{log}: {}", stderr(&output));
        stdout(&output).parse::<toml::Table>().unwrap();
    }
}

#[test]
fn config_check_makes_nothing() {
    let dir = empty_dir();
    printed(&dir, &["config", "check"], &[]);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn what_is_wrong_is_said_by_its_name() {
    let dir = empty_dir();
    let check = ["config", "check"];
    let said = complaint(&dir, &check, &[("FRONTDESK__SERVER__BNID", "x")]);
    assert!(said.contains("FRONTDESK__SERVER__BNID"), "{said}");
    let said = complaint(&dir, &check, &[("FRONTDESK__LIMITS__BURST", "0")]);
    assert!(said.contains("limits.burst"), "{said}");
    std::fs::write(dir.path().join("desk.toml"), "[server]\nbnid = 'x'").unwrap();
    let said = complaint(&dir, &["config", "check", "--config", "desk.toml"], &[]);
    assert!(said.contains("bnid"), "{said}");
    let said = complaint(&dir, &["config", "check", "--config", "missing.toml"], &[]);
    assert!(said.contains("missing.toml"), "{said}");
}

#[test]
fn postgres_does_not_start_without_a_secret_and_says_what_to_set() {
    let dir = empty_dir();
    for args in [&["serve"][..], &[], &["config", "check"], &["token", "--sub", "kim"]] {
        let said = complaint(&dir, args, &[POSTGRES]);
        assert!(said.contains("FRONTDESK__AUTH__SECRET"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_secret_that_others_can_read_stops_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let dir = empty_dir();
    let file = dir.path().join("frontdesk.db.secret");
    std::fs::write(&file, SECRET).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = complaint(&dir, &["token", "--sub", "kim"], &[]);
    assert!(said.contains("chmod 600 frontdesk.db.secret"), "{said}");
}

#[test]
fn the_embedded_default_starts_and_says_what_to_try_first() {
    let dir = empty_dir();
    let env = [("FRONTDESK__SERVER__BIND", "127.0.0.1:0")];
    let mut server =
        frontdesk(&dir, &[], &env).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let said: Vec<String> =
        lines.map(Result::unwrap).take_while(|line| !line.contains("/chats")).collect();
    server.kill().unwrap();
    server.wait().unwrap();
    let said = said.join("\n");
    assert!(said.contains("listens on http://127.0.0.1:") && !said.contains(":0\n"), "{said}");
    assert!(said.contains("token --sub kim --role customer"), "{said}");
}

#[test]
fn migrations_go_up_and_down_and_say_where_they_are() {
    let dir = empty_dir();
    let names = |lines: &str, state: &str| -> usize {
        lines.lines().filter(|line| line.starts_with(state)).count()
    };
    let up = stdout(&run(&dir, &["migrate", "up"], &[])).to_owned();
    assert!(names(&up, "up") > 0 && names(&up, "down") == 0, "{up}");
    let down = stdout(&run(&dir, &["migrate", "down"], &[])).to_owned();
    assert_eq!(names(&down, "down"), 1, "{down}");
}

#[test]
fn only_the_server_makes_a_secret_or_a_database() {
    let dir = empty_dir();
    for args in [&["token", "--sub", "kim"][..], &["migrate", "status"], &["migrate", "down"]] {
        let said = complaint(&dir, args, &[]);
        assert!(said.contains("frontdesk.db") && said.contains("first start"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_not_there_is_named_and_not_made() {
    let dir = empty_dir();
    let env = [("FRONTDESK__DATABASE__URL", "sqlite://dseks/frontdesk.db")];
    for args in [&["serve"][..], &["config", "check"], &["migrate", "up"]] {
        let said = complaint(&dir, args, &env);
        assert!(said.contains("The folder dseks "), "{said}");
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn a_database_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = empty_dir();
    assert!(run(&dir, &["migrate", "up"], &[]).status.success());
    let file = dir.path().join("frontdesk.db");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&dir, &["config", "check"], &[]);
    assert!(stderr(&output).contains("chmod 600 frontdesk.db"), "{}", stderr(&output));
}

#[test]
fn config_check_and_the_start_say_the_same_of_a_url() {
    let dir = empty_dir();
    let env = [
        ("FRONTDESK__DATABASE__URL", "postgres://kim:hunter2@db.invalid/desk?sslrootcert=ca.pem"),
        ("FRONTDESK__AUTH__SECRET", SECRET),
    ];
    let [said, other] = [&["serve"][..], &["config", "check"]].map(|a| complaint(&dir, a, &env));
    assert_eq!(said, other);
    assert!(said.contains("sslrootcert") && !said.contains("hunter2"), "{said}");
}

#[test]
fn an_error_says_once_what_is_missing() {
    let dir = empty_dir();
    let said = complaint(&dir, &["config", "check", "--config", "missing.toml"], &[]);
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
}

#[test]
fn a_line_of_the_log_stays_a_line() {
    let dir = empty_dir();
    // A name with a line in it that looks like the log's own.
    let forged = "desk.db\n[2026-11-27T00:00:00Z INFO  frontdesk] nothing happened";
    let url = format!("sqlite://{forged}");
    let env = [
        ("FRONTDESK__DATABASE__URL", url.as_str()),
        ("FRONTDESK__LOG__FORMAT", "json"),
        ("FRONTDESK__SERVER__BIND", "192.0.2.1:1"),
    ];
    let output = run(&dir, &["serve"], &env);
    let lines: Vec<&str> = stderr(&output).lines().filter(|line| line.starts_with('{')).collect();
    assert!(lines.len() > 3, "{}", stderr(&output));
    for line in lines {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        for field in ["time", "level", "target", "message"] {
            assert!(entry[field].is_string(), "{field} in {line}");
        }
    }
}
