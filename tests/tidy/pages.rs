//! Files of the pages: what is left out when they are served must be comment.

use crate::source::{files, read};
use crate::{Finding, nothing_breaks};

#[test]
fn a_line_that_is_left_out_when_a_page_is_served_is_comment() {
    let served = files("web").into_iter().filter(|p| p.ends_with(".js") || p.ends_with(".css"));
    nothing_breaks(
        "src/web/slim.rs leaves out lines by how they begin: comment stands on lines of its own, the \
         inside of a block begins with `*`, and no text goes over several lines",
        served.flat_map(|path| lost_lines(&path, &read(&path))),
    );
}

fn lost_lines(path: &str, text: &str) -> Vec<Finding> {
    let mut in_block = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let begins = line.starts_with("/*");
        let problem = if begins || in_block {
            let is_over = line.split_once("*/").map(|(_, behind)| behind);
            in_block = is_over.is_none();
            if !begins && !line.starts_with('*') && !line.is_empty() {
                Some("a block of comment in which a line does not begin with *")
            } else {
                // A type before its word is taken out of the line.
                let is_code = is_over.is_some_and(|behind| !behind.trim().is_empty());
                (is_code && !line.starts_with("/** ")).then_some("code behind comment")
            }
        } else if line.starts_with('*') {
            Some("code that looks like comment")
        } else if line.split(['\'', '`']).skip(1).step_by(2).any(|text| text.contains("/** ")) {
            Some("a text that looks like comment")
        } else if !line.starts_with("//") && line.matches('`').count() % 2 == 1 {
            Some("a text over several lines")
        } else {
            None
        };
        found.extend(problem.map(|what| Finding::new(format!("{path}:{}", number + 1), what)));
    }
    found
}

#[test]
fn code_that_would_be_left_out_is_found() {
    let found = |text: &str| lost_lines("a.js", text).len();
    assert_eq!(found("// `\n/** One.\n * Two. */\nlet a = `b` // c\n/* d */\n"), 0);
    assert_eq!(found("* { margin: 0 }"), 1);
    assert_eq!(found("let a = `b\n  c`"), 2);
    assert_eq!(found("let a = '/** b'"), 1);
    assert_eq!(found("let a = f(/** @type {'b'} */ c)"), 0);
    assert_eq!(found("/** @type {b} */ a,\n"), 0);
    assert_eq!(found("/* a\nb */"), 1);
    assert_eq!(found("/* a */ let b"), 1);
    assert_eq!(found("let a = 2\n  * 3"), 1);
}
