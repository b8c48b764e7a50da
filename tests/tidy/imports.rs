//! Layers: the modules that each module may use.

use crate::source::{Source, is_identifier, sources};
use crate::{Finding, nothing_breaks};

/// The layers from the ground up, each with the modules that it may use. `auth::X` is one item.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("retry", &[]),
    ("tls", &[]),
    ("settings", &["domain"]),
    ("metrics", &["domain"]),
    ("protocol", &["domain"]),
    ("db", &["domain", "tls"]),
    ("auth", &["domain", "settings", "retry", "tls"]),
    // The state machine of a session: pure but for whom it is of.
    ("session", &["domain", "settings", "protocol", "auth::AuthenticatedUser"]),
    ("actors", ACTORS),
    ("app", ABOVE_THE_ACTORS),
    ("transport", TRANSPORT),
    ("amqp", &["domain", "settings", "metrics", "retry"]),
    ("cluster", CLUSTER),
    // A sink of events needs no session and no room, and no broker.
    ("outbox", &["domain", "metrics", "db", "retry"]),
    ("bus", BUS),
    ("web", &[]),
    ("http", ABOVE_THE_USE_CASES),
];

const ACTORS: &[&str] = &[
    "domain",
    "retry",
    "settings",
    "metrics",
    "protocol",
    "db",
    // Who somebody is; not how tokens are made. Passwords are hashed on a thread of their own.
    "auth::AuthenticatedUser",
    "auth::AuthError",
    "auth::password",
    "session",
];

const ABOVE_THE_ACTORS: &[&str] =
    &["domain", "retry", "settings", "metrics", "protocol", "db", "auth", "session", "actors"];

/// Hosts of sessions, on one kind of connection each.
const TRANSPORT: &[&str] =
    &["domain", "settings", "metrics", "protocol", "auth", "session", "actors", "app"];

const ABOVE_THE_USE_CASES: &[&str] = &[
    "domain",
    "settings",
    "metrics",
    "protocol",
    "db",
    "auth",
    "session",
    "actors",
    "app",
    "transport",
    // What is live on all nodes.
    "cluster::Nodes",
    "cluster::LiveList",
    "web",
];

/// Node to node: nothing of other services.
const CLUSTER: &[&str] =
    &["domain", "settings", "metrics", "protocol", "db", "actors", "retry", "tls"];

/// Other services: what a command does may concern sessions of other nodes.
const BUS: &[&str] = &[
    "domain", "settings", "metrics", "protocol", "db", "auth", "actors", "session", "app", "retry",
    "amqp", "cluster", "outbox",
];

/// These put the rest together, and see all of it.
const COMPOSITION: &[&str] = &["src/lib", "src/main", "src/application", "src/cli"];

/// Crates that are named in one place, so that they can be changed in one place.
const CONFINED: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "diesel",
            "diesel_async",
            "diesel_migrations",
            "libsqlite3_sys",
            "tokio_postgres",
            "tokio_postgres_rustls",
            "deadpool",
        ],
        &["src/db"],
        "SQL and its types stay behind the functions of db, which have one contract for both databases",
    ),
    (
        &["actix_web_actors"],
        &["src/transport/ws"],
        "the crate is deprecated: the day it must go, one transport changes",
    ),
    (&["jsonwebtoken"], &["src/auth"], "what a token proves is decided in one place"),
    (&["lapin"], &["src/amqp", "src/bus"], "the desk runs without a broker, and knows none"),
];

/// Crates and modules that the domain, which decides, must not use.
const OUTSIDE_THE_DOMAIN: &[&str] =
    &["actix", "actix_web", "actix_rt", "tokio", "serde_json", "log", "fs", "net", "thread", "env"];

#[test]
fn a_module_uses_only_what_lies_below_it() {
    nothing_breaks(
        "what decides does not depend on what moves, stores or serves, and can be read and tested alone",
        sources("src").iter().flat_map(layers),
    );
}

#[test]
fn diesel_actix_web_actors_jsonwebtoken_and_lapin_are_each_named_in_one_place() {
    for (crates, places, rationale) in CONFINED {
        nothing_breaks(
            rationale,
            sources("src").iter().flat_map(|source| confined(source, crates, places)),
        );
    }
}

#[test]
fn the_domain_knows_no_actor_no_runtime_and_no_io() {
    nothing_breaks(
        "ordering, catch-up and failure rules stay ordinary functions with ordinary tests",
        sources("src").iter().filter(|source| source.is_under("src/domain")).flat_map(|source| {
            let words = OUTSIDE_THE_DOMAIN.iter();
            words.flat_map(|word| paths_of(source, word)).collect::<Vec<_>>()
        }),
    );
}

fn layers(source: &Source) -> Vec<Finding> {
    if COMPOSITION.iter().any(|place| source.is_under(place)) {
        return Vec::new();
    }
    let module = source.path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or("");
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
        return vec![source.finding(0, format!("`{module}` has no place in LAYERS"))];
    };
    let is_allowed = |path: &[String]| match path {
        [first, ..] if first == module || allowed.contains(&first.as_str()) => true,
        [first, second, ..] => allowed.contains(&format!("{first}::{second}").as_str()),
        _ => false,
    };
    crate_paths(source)
        .into_iter()
        .filter(|(_, path)| !is_allowed(path))
        .map(|(at, path)| source.finding(at, format!("{module} uses {}", path.join("::"))))
        .collect()
}

fn confined(source: &Source, crates: &[&str], places: &[&str]) -> Vec<Finding> {
    if places.iter().any(|place| source.is_under(place)) {
        return Vec::new();
    }
    let found = crates.iter().flat_map(|name| paths_of(source, name));
    found.collect()
}

/// Places of a path or an attribute that begins with this word, or of an import that ends with it.
fn paths_of(source: &Source, word: &str) -> Vec<Finding> {
    source
        .words(word)
        .filter(|&at| {
            let before = source.code[..at].trim_end();
            let after = source.code[at + word.len()..].trim_start();
            after.starts_with("::")
                || before.ends_with("#[")
                || ["use", "crate"].iter().any(|keyword| before.ends_with(keyword))
                || (before.ends_with("::") && after.starts_with(';'))
        })
        .map(|at| source.finding(at, word))
        .collect()
}

/// Every path into this crate that the file names, from the crate's root on.
fn crate_paths(source: &Source) -> Vec<(usize, Vec<String>)> {
    let code = &source.code;
    let mut found = Vec::new();
    for root in ["crate", "frontdesk"] {
        for at in source.words(root) {
            if let Some(tree) = code[at + root.len()..].trim_start().strip_prefix("::") {
                found.extend(expand(tree).into_iter().map(|path| (at, path)));
            }
        }
    }
    // `super` leads to the root from the first level only: `src/x.rs` and `src/x/mod.rs`.
    let own = source.path.trim_start_matches("src/").trim_end_matches(".rs");
    let depth = own.trim_end_matches("/mod").split('/').count();
    let chain = "super::".repeat(depth);
    for (at, _) in code.match_indices(&chain) {
        if !code[..at].ends_with("::") && !code[..at].ends_with(is_identifier) {
            found.extend(expand(&code[at + chain.len()..]).into_iter().map(|path| (at, path)));
        }
    }
    found
}

/// The paths of a use tree such as `a::{b, c::{d, e}}`, each as its names.
pub fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim_start();
    if let Some(group) = tree.strip_prefix('{') {
        return split_group(group).into_iter().flat_map(expand).collect();
    }
    let name: String = tree.chars().take_while(|&c| is_identifier(c)).collect();
    let rest = tree[name.len()..].trim_start().strip_prefix("::").map(expand).unwrap_or_default();
    if rest.is_empty() {
        return if name.is_empty() { Vec::new() } else { vec![vec![name]] };
    }
    rest.into_iter().map(|path| [vec![name.clone()], path].concat()).collect()
}

/// The members of a group whose opening brace is already taken off.
pub fn split_group(group: &str) -> Vec<&str> {
    let mut members = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
            }
            '}' => {
                members.push(&group[start..at]);
                break;
            }
            _ => {}
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<String> {
        layers(&Source::new(path, text)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_use_of_what_lies_above_is_found_however_it_is_written() {
        assert_eq!(broken("src/domain/x.rs", "use crate::db::Pool;"), ["domain uses db::Pool"]);
        assert_eq!(
            broken("src/db/x.rs", "use crate::{domain::User, actors::{self, Room}};"),
            ["db uses actors::self", "db uses actors::Room"],
        );
        assert_eq!(broken("src/db/x.rs", "fn f() { crate::http::g() }"), ["db uses http::g"]);
        assert_eq!(broken("src/db/mod.rs", "use super::http;"), ["db uses http"]);
        assert_eq!(broken("src/db/x.rs", "use super::super::http;"), ["db uses http"]);
        assert_eq!(broken("src/novel/x.rs", "").len(), 1);
    }

    #[test]
    fn a_use_of_what_lies_below_is_not() {
        assert!(broken("src/db/x.rs", "use crate::domain::User; use super::rows;").is_empty());
        assert!(broken("src/db/x.rs", "// crate::http\nuse crate::db::rows;").is_empty());
        assert!(broken("src/application.rs", "use crate::{http, db};").is_empty());
        let test = "#[cfg(test)] mod tests { use crate::http::App; }";
        assert!(broken("src/db/x.rs", test).is_empty());
    }

    #[test]
    fn actors_see_of_auth_only_who_somebody_is() {
        let text = "use crate::auth::{AuthenticatedUser, Password};";
        assert_eq!(broken("src/actors/x.rs", text), ["actors uses auth::Password"]);
        assert!(broken("src/http/x.rs", text).is_empty());
    }

    #[test]
    fn a_confined_crate_is_found_outside_of_its_place() {
        let found = |path, text| confined(&Source::new(path, text), &["diesel"], &["src/db"]).len();
        assert_eq!(found("src/http/x.rs", "use diesel::prelude::*;"), 1);
        assert_eq!(found("src/http/x.rs", "#[diesel(table_name = x)]"), 1);
        assert_eq!(found("src/http/x.rs", "let diesel = 1; // diesel::x"), 0);
        assert_eq!(found("src/db/x.rs", "use diesel::prelude::*;"), 0);
        assert_eq!(found("src/db.rs", "use diesel::prelude::*;"), 0);
        assert_eq!(found("src/dbx.rs", "use diesel::prelude::*;"), 1);
    }
}
