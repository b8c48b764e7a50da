//! Output of commands: text for people, or a JSON value a line for scripts.

use std::io::{self, Write};

use serde::Serialize;

/// Prints a value as one line of JSON, or the text.
///
/// # Errors
/// Nobody reads the output.
pub fn print(
    json: bool,
    value: &impl Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let line = if json { serde_json::to_string(value)? } else { text() };
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}
