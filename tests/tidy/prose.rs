//! Wording of comments, as far as a program can judge it.

use crate::source::{Source, sources};
use crate::{Finding, nothing_breaks};

/// Words that begin a relative clause, where a definition begins with a noun.
const RELATIVE: &[&str] = &[
    "How", "What", "Whatever", "When", "Where", "Whether", "Which", "Who", "Whoever", "Whom",
    "Whose", "Why",
];

/// Phrases that a reader has to guess, and the words for them.
const UNCLEAR: &[(&str, &str)] = &[
    ("is none", "is missing, is not a …"),
    ("are none", "are missing, are not …"),
    ("looked over", "ignored"),
    ("looks over", "ignores"),
    ("there where", "if"),
    ("the how-manieth", "the index of"),
    ("the desk", "the server"),
];

#[test]
fn a_doc_comment_begins_with_a_noun_and_uses_plain_words() {
    let all = ["src", "tests", "benches"].into_iter().flat_map(sources);
    nothing_breaks(
        "many readers have English as their second language: \"Deadline of an answer\" is read \
         once, \"How long an answer may take\" twice, and \"is none\" is guessed",
        // This file quotes the phrases.
        all.filter(|source| !source.path.ends_with("tidy/prose.rs")).flat_map(|s| unclear(&s)),
    );
}

fn unclear(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut before = "";
    for (index, line) in source.text.lines().enumerate() {
        let text = doc(line).unwrap_or_default();
        let at = || format!("{}:{}", source.path, index + 1);
        let first = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
        // Headings and lists begin anew, too.
        let begins = before.is_empty() || before.starts_with('#');
        if begins && RELATIVE.contains(&first) {
            found.push(Finding::new(at(), format!("begins with `{first}`: begin with a noun")));
        }
        // A phrase may be broken over two lines.
        let joined = format!("{before} {text}").to_lowercase();
        for (phrase, instead) in UNCLEAR {
            if has(&joined, phrase) && !has(&before.to_lowercase(), phrase) {
                found.push(Finding::new(at(), format!("`{phrase}`: say {instead}")));
            }
        }
        before = text;
    }
    found
}

/// The text of a doc comment's line.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(str::trim)
}

/// True if the text has the phrase, in whole words.
fn has(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let outside = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        outside(text[..at].chars().next_back()) && outside(text[at + phrase.len()..].chars().next())
    })
}

#[test]
fn an_unclear_comment_is_found() {
    let found = |text: &str| unclear(&Source::new("src/x.rs", text)).len();
    assert_eq!(found("/// How long an answer may take.\nconst A: u8 = 1;"), 1);
    assert_eq!(found("//! X.\n//!\n//! Whether it may.\n"), 1);
    assert_eq!(found("/// # Errors\n/// What is wrong.\nfn f() {}"), 1);
    assert_eq!(found("/// A frame that is\n/// none, too.\nfn f() {}"), 1);
    assert_eq!(found("/// It is none of these. The desk goes on.\nfn f() {}"), 2);
    assert_eq!(found("/// Deadline of an answer, and\n/// how it is kept.\nfn f() {}"), 0);
    assert_eq!(found("/// This nonetheless is noneffective. The desktop.\nfn f() {}"), 0);
    assert_eq!(found("// What follows is none.\nlet a = 1; // is none"), 0);
}
