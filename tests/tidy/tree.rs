//! Tree of the checkout.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::source::{files, read, root};
use crate::{Finding, nothing_breaks};

/// Entries at the top; there may be no others.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".git",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "benches",
    "build.rs",
    "clippy.toml",
    "config",
    "deny.toml",
    "deploy",
    "diesel.toml",
    "docs",
    "migrations",
    "rustfmt.toml",
    "scripts",
    "src",
    "tests",
    "web",
];

/// Folders that hold what is ours.
const OURS: &[&str] =
    &[".ci", "benches", "config", "deploy", "docs", "migrations", "scripts", "src", "tests", "web"];

#[test]
fn the_top_level_holds_only_what_is_known() {
    let ignored = read(".gitignore");
    let entries = fs::read_dir(root()).expect("the checkout can be read");
    let names = entries.map(|entry| entry.expect("the checkout can be read").file_name());
    nothing_breaks(
        "the top level is the first thing that is seen: say in TOP_LEVEL what is new there",
        names
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| !TOP_LEVEL.contains(&name.as_str()) && !is_ignored(&ignored, name))
            .map(|name| Finding::new(name, "is not known")),
    );
}

#[test]
fn both_databases_have_the_same_migrations_each_with_its_way_back() {
    let (postgres, sqlite) = (files("migrations/postgres"), files("migrations/sqlite"));
    nothing_breaks(
        "the same binary runs on either database, and every step can be taken back",
        unmatched_migrations(&postgres, &sqlite),
    );
}

#[test]
fn nothing_mentions_what_is_not_in_the_repository() {
    // Put together here, so that this file is not found by itself.
    let marks = [concat!("..", "/shared"), concat!("DESIGN", ".md")];
    let top = TOP_LEVEL.iter().filter(|name| root().join(name).is_file()).map(|&n| n.to_owned());
    nothing_breaks(
        "whoever reads it has this repository and nothing else",
        OURS.iter().flat_map(|folder| files(folder)).chain(top).flat_map(|path| {
            let text = read(&path);
            mentions(&path, &text, &marks)
        }),
    );
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    nothing_breaks(
        "a link to a file that has moved sends a reader away with nothing",
        documents().iter().flat_map(|(path, text)| {
            let folder = root().join(path).parent().map(Path::to_path_buf).unwrap_or_default();
            let dead = links(text).filter(move |(_, target)| !folder.join(target).exists());
            dead.map(move |(line, target)| Finding::new(format!("{path}:{line}"), target))
        }),
    );
}

#[test]
fn files_that_the_documents_name_are_there() {
    let there: Vec<_> = OURS.iter().flat_map(|folder| files(folder)).collect();
    nothing_breaks(
        "a reader searches for the name, and must find it",
        documents().iter().flat_map(|(path, text)| {
            let ghosts = named_files(text).filter(|(_, name)| !is_there(name, &there));
            ghosts
                .map(|(line, name)| Finding::new(format!("{path}:{line}"), name))
                .collect::<Vec<_>>()
        }),
    );
}

#[test]
fn tables_in_the_documents_are_whole() {
    nothing_breaks(
        "behind an empty line a table's rows are shown as text",
        documents().iter().flat_map(|(path, text)| {
            headless_rows(text).map(move |line| Finding::new(format!("{path}:{line}"), "no head"))
        }),
    );
}

/// The documents, each with its text.
fn documents() -> Vec<(String, String)> {
    let top = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    let top = top.map(str::to_owned);
    let paths = top.into_iter().chain(files("docs")).filter(|path| path.ends_with(".md"));
    paths.map(|path| (path.clone(), read(&path))).collect()
}

/// True if one of the ignore file's lines, all of the form `/name` or `/name*`, covers the name.
fn is_ignored(ignore_file: &str, name: &str) -> bool {
    ignore_file.lines().filter_map(|line| line.trim().strip_prefix('/')).any(|pattern| {
        let pattern = pattern.trim_end_matches('/');
        match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        }
    })
}

fn unmatched_migrations(postgres: &[String], sqlite: &[String]) -> Vec<Finding> {
    let trees = [("postgres", postgres), ("sqlite", sqlite)].map(|(name, paths)| {
        let root = format!("migrations/{name}/");
        let files: BTreeSet<_> =
            paths.iter().map(|path| path.trim_start_matches(&root).to_owned()).collect();
        (root, files)
    });
    let steps: BTreeSet<_> = trees
        .iter()
        .flat_map(|(_, files)| files)
        .map(|file| file.split('/').next().unwrap_or(file))
        .collect();
    let wanted: Vec<_> = steps
        .iter()
        .flat_map(|step| ["up.sql", "down.sql"].map(|f| format!("{step}/{f}")))
        .collect();
    trees
        .iter()
        .flat_map(|(root, files)| {
            let missing = wanted.iter().filter(|file| !files.contains(*file));
            let stray = files.iter().filter(|file| !wanted.contains(file));
            missing
                .map(move |file| Finding::new(format!("{root}{file}"), "is missing"))
                .chain(stray.map(move |file| Finding::new(format!("{root}{file}"), "is no step")))
        })
        .collect()
}

fn mentions(path: &str, text: &str, marks: &[&str]) -> Vec<Finding> {
    text.lines()
        .enumerate()
        .flat_map(|(line, content)| {
            let found = marks.iter().filter(|mark| content.contains(**mark));
            found.map(move |mark| Finding::new(format!("{path}:{}", line + 1), *mark))
        })
        .collect()
}

/// The files that a Markdown text links to, with the line of each.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(line, content)| {
        content.split("](").skip(1).filter_map(move |rest| {
            let target = rest.split([')', '#', ' ']).next()?;
            let is_file = !target.is_empty() && !target.contains(':');
            is_file.then_some((line + 1, target))
        })
    })
}

/// The files and folders that a text names in code spans, with the line of each: those that end in
/// `.rs`, or begin with a folder of ours. `*` stands for the end of a name.
fn named_files(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(line, content)| {
        let spans = content.split('`').skip(1).step_by(2);
        spans.filter(|span| is_path(span)).map(move |span| (line + 1, span))
    })
}

fn is_path(span: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./*".contains(c);
    let in_ours = span.split_once('/').is_some_and(|(folder, _)| OURS.contains(&folder));
    span.chars().all(is_plain) && (in_ours || span.ends_with(".rs"))
}

/// True if one of the files is named by this, or by the end of its path, or lies below it.
fn is_there(name: &str, files: &[String]) -> bool {
    let start = name.trim_end_matches(['*', '/']);
    files.iter().any(|file| {
        file.starts_with(start)
            && (name != start || file == name || file[start.len()..].starts_with('/'))
            || file.strip_suffix(name).is_some_and(|folder| folder.ends_with('/'))
    })
}

/// Lines that begin a table without the line that makes it one.
fn headless_rows(text: &str) -> impl Iterator<Item = usize> {
    let lines: Vec<_> = text.lines().collect();
    let is_row = |line: Option<&&str>| line.is_some_and(|line| line.starts_with('|'));
    let found: Vec<_> = (0..lines.len())
        .filter(|&at| {
            is_row(lines.get(at)) && !is_row(at.checked_sub(1).and_then(|b| lines.get(b)))
        })
        .filter(|&at| !lines.get(at + 1).is_some_and(|line| line.starts_with("|--")))
        .map(|at| at + 1)
        .collect();
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_ignores_may_lie_at_the_top() {
        let file = "/target\n/frontdesk.db*\n";
        assert!(is_ignored(file, "target"));
        assert!(is_ignored(file, "frontdesk.db-wal"));
        assert!(!is_ignored(file, "targets"));
    }

    #[test]
    fn a_migration_that_one_database_lacks_is_found() {
        let tree = |name: &str, files: &[&str]| -> Vec<String> {
            files.iter().map(|file| format!("migrations/{name}/{file}")).collect()
        };
        let both = ["1_a/up.sql", "1_a/down.sql"];
        let found = |postgres, sqlite| {
            let findings =
                unmatched_migrations(&tree("postgres", postgres), &tree("sqlite", sqlite));
            findings.into_iter().map(|finding| finding.at).collect::<Vec<_>>()
        };
        assert!(found(&both, &both).is_empty());
        assert_eq!(found(&both, &both[..1]), ["migrations/sqlite/1_a/down.sql"]);
        assert_eq!(found(&[], &both).len(), 2);
        assert_eq!(found(&["notes.sql"], &["notes.sql"]).len(), 6);
    }

    #[test]
    fn a_mention_is_found_with_its_line() {
        let found = mentions("a.md", "one\nsee elsewhere/x\n", &["elsewhere/"]);
        assert_eq!(found, [Finding::new("a.md:2", "elsewhere/")]);
    }

    #[test]
    fn links_are_taken_out_of_markdown() {
        let text = "[a](src/lib.rs) [b](https://example.com/x)\n[c](#part) ![d](web/a.png#x)";
        assert_eq!(links(text).collect::<Vec<_>>(), [(1, "src/lib.rs"), (2, "web/a.png")]);
    }

    #[test]
    fn a_file_that_is_not_there_is_found() {
        let files = ["src/db/plan.rs", "src/actors/ws_session.rs", "tests/tidy/tree.rs"];
        let files = files.map(str::to_owned);
        let text = "`plan.rs` `db/plan.rs` `src/db/` `src/actors/ws_*`\n`tests/tidy` `a.md` `x/y`";
        assert_eq!(named_files(text).count(), 5);
        assert!(named_files(text).all(|(_, name)| is_there(name, &files)));
        for ghost in ["an.rs", "src/http/cursor.rs", "src/d", "src/cli*"] {
            assert!(is_path(ghost) && !is_there(ghost, &files), "{ghost}");
        }
    }

    #[test]
    fn a_table_that_is_cut_in_two_is_found() {
        assert_eq!(headless_rows("| a |\n|---|\n| b |\n\n| c |\n").collect::<Vec<_>>(), [5]);
    }
}
