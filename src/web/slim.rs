//! Leaves out of a file what browsers do not need: indentation, empty lines, and comment.
//!
//! No text may look like one of these; `tests/tidy/pages.rs` checks the files.

/// The lines of a script or a stylesheet that say something.
pub fn slim(text: &str) -> String {
    let mut slim = String::with_capacity(text.len());
    for line in text.lines().map(str::trim).filter(|line| !is_comment(line)) {
        let mut rest = line;
        // Types stand between the words of a line.
        while let Some((before, comment)) = rest.split_once("/** ")
            && let Some((_, after)) = comment.split_once("*/")
        {
            slim.push_str(before);
            rest = after.trim_start();
        }
        slim.push_str(rest);
        slim.push('\n');
    }
    slim
}

/// True for an empty line, and for one that is only a comment, or the inside of one.
pub fn is_comment(line: &str) -> bool {
    let has_code = |rest: &str| rest.split_once("*/").is_some_and(|(_, code)| !code.is_empty());
    line.is_empty()
        || line.starts_with("//")
        || line.starts_with('*')
        || line.strip_prefix("/*").is_some_and(|rest| !has_code(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_are_left_out() {
        let script = "// A file.\n\n/**\n * A sum.\n */\nexport function sum(a, b) {\n  // Why.\n  return a + b // kept\n}\n";
        assert_eq!(slim(script), "export function sum(a, b) {\nreturn a + b // kept\n}\n");
        let typed = "function sum(/** @type {number} */ a, /** @type {number} */ b) {\n";
        assert_eq!(slim(typed), "function sum(a, b) {\n");
        let lines = "function sum(\n  /** @type {number} */ a,\n  b,\n) {\n";
        assert_eq!(slim(lines), "function sum(\na,\nb,\n) {\n");
        let style = "/* Colours. */\n.a {\n  color: red;\n}\n";
        assert_eq!(slim(style), ".a {\ncolor: red;\n}\n");
    }
}
