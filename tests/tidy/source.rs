//! A Rust file as the rules see it: its text, its code without comments and strings, and which of
//! its lines are tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Finding;

pub struct Source {
    /// From the root of the checkout, with forward slashes.
    pub path: String,
    pub text: String,
    /// As long as `text`, with blanks where that has comments, strings and tests.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let mut code = blank_comments_and_strings(text);
        if path.ends_with("_tests.rs") || path.ends_with("/tests.rs") || path.contains("/tests/") {
            code = blank(&code);
        }
        blank_test_modules(&mut code);
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// The position of a byte of `code`, as `file:line`.
    pub fn at(&self, offset: usize) -> String {
        let line = self.text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("{}:{line}", self.path)
    }

    pub fn finding(&self, offset: usize, what: impl Into<String>) -> Finding {
        Finding::new(self.at(offset), what)
    }

    /// The positions of a word in the code, as a whole identifier.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
            let before = self.code[..at].chars().next_back();
            let after = self.code[at + word.len()..].chars().next();
            !before.is_some_and(is_identifier) && !after.is_some_and(is_identifier)
        })
    }

    /// True if the file is in the folder, or is the file, of that path without `.rs`.
    pub fn is_under(&self, place: &str) -> bool {
        self.path.strip_prefix(place).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }
}

pub fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder of the checkout; none where the folder is not there.
pub fn sources(folder: &str) -> Vec<Source> {
    files(folder)
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| Source::new(&path, &read(&path)))
        .collect()
}

/// The text of a file of the checkout; where it is not UTF-8, as near as can be.
pub fn read(path: &str) -> String {
    let bytes = fs::read(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every file below a folder of the checkout, as a path from its root, in order.
pub fn files(folder: &str) -> Vec<String> {
    fn walk(folder: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a folder of the checkout can be read").path();
            if path.is_dir() { walk(path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(root().join(folder), &mut found);
    let mut paths: Vec<_> = found
        .iter()
        .map(|path| path.strip_prefix(root()).expect("a path below the root"))
        .map(|path| path.to_string_lossy().replace('\\', "/"))
        .collect();
    paths.sort();
    paths
}

fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// The same bytes, with blanks in place of all that is not code. Line breaks stay.
fn blank_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let in_word = code.chars().next_back().is_some_and(is_identifier);
        let length = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !in_word => prefixed_literal(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            code.push(next);
            // One blank a byte, so that offsets are the same in both.
            if !next.is_ascii() {
                code.pop();
                code.push_str(&blank(&rest[..next.len_utf8()]));
            }
            rest = &rest[next.len_utf8()..];
        } else {
            code.push_str(&blank(&rest[..length]));
            rest = &rest[length..];
        }
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the literal that starts with a quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw, byte or C string; 0 where it is a word that only begins like one.
fn prefixed_literal(text: &str) -> usize {
    let prefix = text.len() - text.trim_start_matches(['r', 'b', 'c']).len();
    let hashes = text[prefix..].bytes().take_while(|&byte| byte == b'#').count();
    let quote = prefix + hashes;
    if prefix > 2 || !text[quote..].starts_with('"') {
        return 0;
    }
    if !text[..prefix].contains('r') {
        return if hashes == 0 { prefix + string(&text[prefix..]) } else { 0 };
    }
    let end = format!("\"{}", "#".repeat(hashes));
    text[quote + 1..].find(&end).map_or(text.len(), |at| quote + 1 + at + end.len())
}

/// The length of a character literal; 0 where the quote begins a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |at| at + 4),
        Some(_) => characters.next().filter(|&(_, c)| c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// Blanks each item, mostly a module, that is marked `#[cfg(test)]`.
fn blank_test_modules(code: &mut String) {
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = item_end(code, start);
        let blanks = blank(&code[start..end]);
        code.replace_range(start..end, &blanks);
    }
}

/// The end of an item: behind its `;`, or behind its closing brace.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth -= 1;
                if depth == 0 && byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_strings_and_tests_are_not_code() {
    let text = r##"let a = "x // no"; // diesel
let 'a' = '\''; let b: &'static str = r#"die"sel"#; /* diesel /* nested */ */
fn früh() {}
#[cfg(test)]
#[path = "x_tests.rs"]
mod tests { use diesel::x; fn f() { g(";") } }
fn after() {}
"##;
    let source = Source::new("src/x.rs", text);
    assert_eq!(source.code.len(), text.len());
    assert_eq!(source.code.lines().count(), text.lines().count());
    for gone in ["diesel", "no", "die", "tests", "nested"] {
        assert!(!source.code.contains(gone), "{gone} is still there: {}", source.code);
    }
    assert!(source.code.contains("&'static str"));
    let after = source.words("after").next().expect("what follows the tests is code");
    assert_eq!(source.at(after), "src/x.rs:7");
}

#[test]
fn a_file_of_tests_has_no_code() {
    assert!(Source::new("src/x_tests.rs", "use diesel::x;").code.trim().is_empty());
}
