//! The house rules that no compiler checks: each is read from the source tree as text.
//!
//! A rule is a test whose name is the fact. What breaks it is printed as `file:line`, with the
//! reason why the rule is there. Each checker is itself tried on a snippet that must turn it red.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test says what is wrong by a panic"
)]

mod circles;
mod dependencies;
mod imports;
mod limits;
mod monitoring;
mod names;
mod pages;
mod prose;
mod queues;
mod source;
mod style;
mod tree;

/// Something that breaks a rule: where, and what stands there.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    at: String,
    what: String,
}

impl Finding {
    fn new(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into() }
    }
}

/// Fails with every finding, and with the reason of the rule.
fn nothing_breaks(rationale: &str, findings: impl IntoIterator<Item = Finding>) {
    let lines: Vec<_> =
        findings.into_iter().map(|finding| format!("  {}: {}", finding.at, finding.what)).collect();
    assert!(lines.is_empty(), "\n{}\n\nWhy: {rationale}\n", lines.join("\n"));
}
