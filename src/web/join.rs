//! Joins modules of JavaScript, so that a browser asks for one file instead of many.
//!
//! A module is an entry, which browsers ask for by its address, or a part. An entry is served with
//! the parts that it imports, directly or not, in front of it; imports of other entries stay. Only
//! plain modules can be joined (`Statement`), and no name may be declared twice in what is joined.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The text of each module, by its path in the tree.
pub type Modules = BTreeMap<String, String>;

/// The reason why a module cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct JoinError {
    path: String,
    problem: String,
}

/// Joins the module at `entry` and its parts.
///
/// # Errors
/// A module that is missing or not plain, and a name that is declared twice.
pub fn join(
    modules: &Modules,
    is_entry: impl Fn(&str) -> bool,
    entry: &str,
) -> Result<String, JoinError> {
    let mut joined = Joined::default();
    joined.add(modules, &is_entry, entry, entry)?;
    joined.finish(entry)
}

/// A statement that concerns other modules, or is seen by them.
#[derive(Debug, PartialEq, Eq)]
enum Statement<'a> {
    /// `import { a, b } from './x.js'`
    Import(Vec<&'a str>, &'a str),
    /// `export { a, b } from './x.js'`
    ExportFrom(Vec<&'a str>, &'a str),
    /// `export { a, b }`
    Export(Vec<&'a str>),
    /// `const a`, `function a`, `class a`, with or without `export` before it.
    Declare { name: &'a str, exported: bool },
    /// Anything else, as it is.
    Other,
}

#[derive(Default)]
struct Joined {
    seen: BTreeSet<String>,
    /// The names that are imported, by the entry that exports them.
    imported: BTreeMap<String, BTreeSet<String>>,
    /// The module of each name at the top level.
    declared: BTreeMap<String, String>,
    /// The names that the entry exports.
    exported: BTreeSet<String>,
    code: String,
}

impl Joined {
    fn add(
        &mut self,
        modules: &Modules,
        is_entry: &dyn Fn(&str) -> bool,
        entry: &str,
        path: &str,
    ) -> Result<(), JoinError> {
        if !self.seen.insert(path.to_owned()) {
            return Ok(());
        }
        let fault = |problem: String| JoinError { path: path.to_owned(), problem };
        let text = modules.get(path).ok_or_else(|| fault("is missing".into()))?;
        let mut code = String::new();
        for statement in statements(text) {
            let parsed = parse(&statement).map_err(fault)?;
            if let Statement::Import(names, from) | Statement::ExportFrom(names, from) = &parsed {
                let from = resolve(path, from)
                    .ok_or_else(|| fault(format!("imports {from}, which is not below web")))?;
                if is_entry(&from) && from != entry {
                    let names = names.iter().map(|&name| name.to_owned());
                    self.imported.entry(from).or_default().extend(names);
                } else {
                    self.add(modules, is_entry, entry, &from)?;
                }
            }
            match parsed {
                Statement::Import(..) => continue,
                Statement::ExportFrom(names, _) | Statement::Export(names) => {
                    if path == entry {
                        self.exported.extend(names.into_iter().map(str::to_owned));
                    }
                    continue;
                }
                Statement::Declare { name, exported } => {
                    if exported && path == entry {
                        self.exported.insert(name.to_owned());
                    }
                    if let Some(other) = self.declared.insert(name.to_owned(), path.to_owned()) {
                        return Err(fault(format!("declares {name}, as {other} does")));
                    }
                }
                Statement::Other => {}
            }
            let is_relative = statement.contains("import(") || statement.contains("import.meta");
            if is_relative && folder(path) != folder(entry) {
                return Err(fault(format!("has an address that is relative to {entry}'s folder")));
            }
            code.push_str(statement.strip_prefix("export ").unwrap_or(&statement));
            code.push('\n');
        }
        self.code.push_str(&code);
        Ok(())
    }

    fn finish(self, entry: &str) -> Result<String, JoinError> {
        let mut text = String::with_capacity(self.code.len() + 512);
        for (from, names) in &self.imported {
            if let Some(name) = names.iter().find(|name| self.declared.contains_key(*name)) {
                let problem = format!("{name} is imported from {from}, and declared");
                return Err(JoinError { path: entry.to_owned(), problem });
            }
            let up = "../".repeat(entry.matches('/').count());
            let up = if up.is_empty() { "./" } else { &up };
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "import {{ {} }} from '{up}{from}'", names.join(", "));
        }
        text.push_str(&self.code);
        if !self.exported.is_empty() {
            let names: Vec<&str> = self.exported.iter().map(String::as_str).collect();
            let _ = writeln!(text, "export {{ {} }}", names.join(", "));
        }
        Ok(text)
    }
}

/// The statements at the top level that may concern other modules, each whole, and all other lines
/// but those of comment, one by one.
fn statements(text: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines().filter(|line| !super::slim::is_comment(line.trim())) {
        match statements.last_mut().filter(|_| open) {
            Some(statement) => {
                statement.push(' ');
                statement.push_str(line.trim());
            }
            None => statements.push(line.to_owned()),
        }
        let is_list = |line: &str| line.starts_with("import ") || line.starts_with("export {");
        open = (open || is_list(line)) && !line.contains('}');
    }
    statements
}

fn parse(statement: &str) -> Result<Statement<'_>, String> {
    if let Some(rest) = statement.strip_prefix("import ") {
        let (names, from) = list(rest)?;
        return Ok(Statement::Import(names, from.ok_or("an import names no module")?));
    }
    if statement.starts_with("export {") {
        let (names, from) = list(statement.strip_prefix("export ").unwrap_or_default())?;
        return Ok(match from {
            Some(from) => Statement::ExportFrom(names, from),
            None => Statement::Export(names),
        });
    }
    let (exported, rest) = match statement.strip_prefix("export ") {
        Some(rest) => (true, rest),
        None => (false, statement),
    };
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let declared = ["function* ", "function ", "class ", "const ", "let ", "var "]
        .iter()
        .find_map(|keyword| rest.strip_prefix(keyword));
    match declared {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
            match rest.split_at_checked(end.unwrap_or(rest.len())) {
                Some((name, _)) if !name.is_empty() => Ok(Statement::Declare { name, exported }),
                _ => Err(format!("declares more than one name at once: {statement}")),
            }
        }
        None if exported => Err(format!("exports in a way that is not joined: {statement}")),
        None => Ok(Statement::Other),
    }
}

/// `{ a, b }`, with or without ` from './x.js'`.
fn list(text: &str) -> Result<(Vec<&str>, Option<&str>), String> {
    let strange = || format!("imports or exports in a way that is not joined: {text}");
    let (names, rest) =
        text.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or_else(strange)?;
    let names: Vec<&str> =
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.iter().any(|name| name.contains(' ')) {
        return Err(strange());
    }
    let rest = rest.trim().trim_end_matches(';');
    if rest.is_empty() {
        return Ok((names, None));
    }
    let from = rest.strip_prefix("from ").map(|from| from.trim().trim_matches(['\'', '"']));
    Ok((names, Some(from.ok_or_else(strange)?)))
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The path of a module that the one at `path` imports as `from`.
fn resolve(path: &str, from: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder(path).split('/').filter(|part| !part.is_empty()).collect();
    if !from.starts_with('.') {
        return None;
    }
    for part in from.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(files: &[(&str, &str)], entry: &str) -> Result<String, String> {
        let modules = files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned()));
        let is_entry = |path: &str| path.ends_with("main.js");
        join(&modules.collect(), is_entry, entry).map_err(|error| error.to_string())
    }

    #[test]
    fn parts_stand_before_what_imports_them_once_each() {
        let files = [
            (
                "a/main.js",
                "import { b } from './b.js'\nimport { c } from '../c/c.js'\nexport const a = b + c",
            ),
            (
                "a/b.js",
                "import {\n  c,\n} from '../c/c.js'\n\n/** Two. */\nexport function b() {\n  return c\n}",
            ),
            ("c/c.js", "// Three.\nexport const c = 3"),
        ];
        assert_eq!(
            joined(&files, "a/main.js").expect("it is plain"),
            "const c = 3\nfunction b() {\n  return c\n}\nconst a = b + c\nexport { a }\n",
        );
    }

    #[test]
    fn an_import_of_another_entry_stays() {
        let files = [
            ("a/main.js", "import { z } from './z.js'\nexport { q } from './z.js'\nz()"),
            ("a/z.js", "import { x } from '../b/main.js'\nexport class z {}\nexport const q = x"),
            ("b/main.js", "export const x = 1"),
        ];
        assert_eq!(
            joined(&files, "a/main.js").expect("it is plain"),
            "import { x } from '../b/main.js'\nclass z {}\nconst q = x\nz()\nexport { q }\n",
        );
    }

    #[test]
    fn a_module_that_is_not_plain_is_refused_by_its_name() {
        for (text, problem) in [
            ("import * as b from './b.js'", "is not joined"),
            ("import { b as c } from './b.js'", "is not joined"),
            ("import b from './b.js'", "is not joined"),
            ("export default 1", "is not joined"),
            ("export * from './b.js'", "is not joined"),
            ("const { a, b } = c", "more than one name"),
            ("import { b } from 'left-pad'", "not below web"),
            ("import { b } from '../../b.js'", "not below web"),
            ("import { b } from './c.js'", "a/c.js: is missing"),
            ("import { b } from './b.js'\nlet b = 1", "declares b, as a/b.js does"),
            ("import { u } from '../u/u.js'\nu()", "relative to a/main.js's folder"),
        ] {
            let files = [
                ("a/main.js", text),
                ("a/b.js", "export const b = 1"),
                ("u/u.js", "export const u = () => import('./v.js')"),
            ];
            let error = joined(&files, "a/main.js").expect_err(text);
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
