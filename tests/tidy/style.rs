//! Style of a source file.

use crate::source::{Source, files, read, sources};
use crate::{Finding, nothing_breaks};

/// Lines of code, without comments, blank lines and tests.
const MAX_LINES: usize = 500;

#[test]
fn no_file_has_more_than_500_lines_of_code() {
    let all = ["src", "tests", "benches"].into_iter().flat_map(sources);
    nothing_breaks(
        "one file, one noun: behind the five hundredth line a second one is hiding",
        all.filter_map(|source| too_long(&source)),
    );
}

#[test]
fn every_source_file_says_what_it_is_for() {
    nothing_breaks(
        "a reader decides by a file's first line whether to read the rest",
        sources("src").iter().filter_map(undocumented),
    );
}

#[test]
fn what_may_panic_has_its_reason_beside_it() {
    nothing_breaks(
        "a panic takes an actor down: say beside an unwrap or expect why it cannot happen",
        sources("src").iter().flat_map(bare_panics),
    );
}

#[test]
fn nothing_is_marked_to_be_finished_later() {
    // This file would find itself.
    let all = ["src", "tests", "benches"].into_iter().flat_map(files);
    nothing_breaks(
        "what is not done is written where work is planned; in the code nobody finds it",
        all.filter(|path| !path.starts_with("tests/tidy/"))
            .flat_map(|path| leftovers(&Source::new(&path, &read(&path)))),
    );
}

fn too_long(source: &Source) -> Option<Finding> {
    let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
    (lines > MAX_LINES).then(|| source.finding(0, format!("{lines} lines of code")))
}

fn undocumented(source: &Source) -> Option<Finding> {
    let is_test = source.path.ends_with("tests.rs");
    (!is_test && !source.text.starts_with("//! "))
        .then(|| source.finding(0, "does not begin with a `//!` comment"))
}

fn bare_panics(source: &Source) -> Vec<Finding> {
    let lines: Vec<_> = source.text.lines().collect();
    let has_reason = |line: usize| {
        let nearby = &lines[line.saturating_sub(4)..line];
        // An `#[expect(…, reason = "…")]` may have been broken into several lines.
        lines[line].contains("//")
            || nearby.last().is_some_and(|before| before.trim_start().starts_with("//"))
            || nearby.iter().any(|before| before.contains("reason ="))
    };
    [".unwrap()", ".expect(", ".unwrap_err()", ".expect_err("]
        .iter()
        .flat_map(|call| source.code.match_indices(call))
        .filter(|(at, _)| !has_reason(source.code[..*at].matches('\n').count()))
        .map(|(at, call)| source.finding(at, format!("`{call}` without a reason beside it")))
        .collect()
}

fn leftovers(source: &Source) -> Vec<Finding> {
    ["FIXME", "TODO", "todo!(", "dbg!("]
        .iter()
        .flat_map(|mark| source.text.match_indices(mark))
        .map(|(at, mark)| source.finding(at, mark))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("src/x.rs", text)
    }

    #[test]
    fn only_code_counts_towards_a_files_length() {
        assert!(too_long(&source(&"let a = 1;\n".repeat(501))).is_some());
        assert!(too_long(&source(&"let a = 1;\n".repeat(500))).is_none());
        assert!(too_long(&source(&"// a comment\n\n".repeat(600))).is_none());
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "let a = 1;\n".repeat(600));
        assert!(too_long(&source(&tests)).is_none());
    }

    #[test]
    fn a_file_without_a_first_sentence_is_found() {
        assert!(undocumented(&source("use std::fmt;\n")).is_some());
        assert!(undocumented(&source("//! What it is.\n")).is_none());
    }

    #[test]
    fn an_unwrap_without_a_reason_is_found() {
        let found = |text| bare_panics(&source(text)).len();
        assert_eq!(found("fn f() {\n    a.unwrap();\n    b.expect(\"b\");\n}"), 2);
        assert_eq!(found("// The list is never empty.\na.unwrap();"), 0);
        assert_eq!(found("a.unwrap(); // The list is never empty."), 0);
        assert_eq!(found("#[expect(\n  clippy::x,\n  reason = \"y\"\n)]\na.expect(\"b\");"), 0);
        assert_eq!(found("a.unwrap_or(0); \".unwrap()\";"), 0);
    }

    #[test]
    fn a_mark_for_later_is_found_in_comments_too() {
        assert_eq!(leftovers(&source("//! X.\n// TODO: more\n")).len(), 1);
    }
}
