//! Circles of imports between files.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::{expand, split_group};
use crate::source::{Source, sources};
use crate::{Finding, nothing_breaks};

/// The most files that may import each other round in a circle.
const MOST_FILES: usize = 3;

/// A module, as the names of its path.
type Module = Vec<String>;

#[test]
fn no_more_than_three_files_import_each_other_in_a_circle() {
    nothing_breaks(
        "files of a circle can only be read, tested and moved together",
        large_circles(&sources("src")),
    );
}

fn large_circles(sources: &[Source]) -> Vec<Finding> {
    let arrows = arrows(sources);
    let mut found: BTreeSet<Vec<&str>> = BTreeSet::new();
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|file| (*file, reached(&arrows, file))).collect();
    for (file, reached) in &reach {
        let mut circle: Vec<&str> = reached
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
            .collect();
        circle.sort_unstable();
        if circle.len() > MOST_FILES {
            found.insert(circle);
        }
    }
    found.into_iter().map(|circle| Finding::new("circle", circle.join(", "))).collect()
}

fn reached<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = arrows.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(arrows.get(file).into_iter().flatten());
        }
    }
    reached
}

/// The files that each file imports from. A name that a module passes on counts as its origin's.
fn arrows(sources: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let modules: BTreeMap<Module, &Source> =
        sources.iter().map(|source| (module(&source.path), source)).collect();
    let passed_on: BTreeMap<(Module, String), Module> =
        modules.iter().flat_map(|(module, source)| passed_on(module, source, &modules)).collect();
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, source) in &modules {
        let targets = arrows.entry(&source.path).or_default();
        for path in imports(module, source, &modules) {
            if let Some(target) = resolve(&path, &modules, &passed_on)
                && target.path != source.path
            {
                targets.insert(&target.path);
            }
        }
    }
    arrows
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`.
fn module(path: &str) -> Module {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

fn resolve<'a>(
    path: &[String],
    modules: &BTreeMap<Module, &'a Source>,
    passed_on: &BTreeMap<(Module, String), Module>,
) -> Option<&'a Source> {
    let mut path = path.to_vec();
    for _ in 0..8 {
        let length =
            (1..=path.len()).rev().find(|&length| modules.contains_key(&path[..length]))?;
        let module = path[..length].to_vec();
        let name = path.get(length).cloned();
        match name.and_then(|name| passed_on.get(&(module.clone(), name.clone())).cloned()) {
            Some(origin) => path = origin,
            None => return modules.get(&module).copied(),
        }
    }
    None
}

/// The names that a module passes on by `pub use`, with their full paths.
fn passed_on(
    module: &Module,
    source: &Source,
    modules: &BTreeMap<Module, &Source>,
) -> Vec<((Module, String), Module)> {
    let mut found = Vec::new();
    for at in source.words("use") {
        let before = source.code[..at].trim_end();
        if !(before.ends_with("pub") || before.ends_with(')')) {
            continue;
        }
        for path in use_paths(&source.code[at + 3..]) {
            if let Some(path) = absolute(module, &path, modules)
                && let Some(name) = path.last().cloned()
            {
                found.push(((module.clone(), name), path));
            }
        }
    }
    found
}

/// All paths into this crate that a file names, but for those that it only passes on.
fn imports(module: &Module, source: &Source, modules: &BTreeMap<Module, &Source>) -> Vec<Module> {
    let mut found = Vec::new();
    for at in source.words("use") {
        let before = source.code[..at].trim_end();
        if before.ends_with("pub") || before.ends_with(')') {
            continue;
        }
        let paths = use_paths(&source.code[at + 3..]);
        found.extend(paths.iter().filter_map(|path| absolute(module, path, modules)));
    }
    for root in ["crate", "super"] {
        for at in source.words(root) {
            let line =
                source.code[..at].rfind(['\n', ';']).map_or("", |start| &source.code[start..at]);
            if !line.contains("use") && source.code[at + root.len()..].starts_with("::") {
                let paths = expand(&source.code[at..]);
                found.extend(paths.iter().filter_map(|path| absolute(module, path, modules)));
            }
        }
    }
    found
}

fn use_paths(tree: &str) -> Vec<Module> {
    let tree = &tree[..tree.find(';').unwrap_or(tree.len())];
    split_group(&format!("{tree}}}")).into_iter().flat_map(expand).collect()
}

/// The path from the crate's root on; `None` for another crate's.
fn absolute(
    module: &Module,
    path: &[String],
    modules: &BTreeMap<Module, &Source>,
) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module.as_slice(), rest].concat()),
        "super" => {
            let parent = &module[..module.len().checked_sub(1)?];
            if rest.first().is_some_and(|name| name == "super") {
                return absolute(&parent.to_vec(), rest, modules);
            }
            Some([parent, rest].concat())
        }
        _ => {
            let child = [module.as_slice(), &path[..1]].concat();
            modules.contains_key(&child).then(|| [module.as_slice(), path].concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(path, text)).collect();
        large_circles(&sources).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_circle_is_found_through_what_modules_pass_on() {
        let files = [
            ("src/a/mod.rs", "mod b; mod c; mod d; mod e; pub use b::B; pub use self::c::C;"),
            ("src/a/b.rs", "use super::C;"),
            ("src/a/c.rs", "use crate::a::d::D;"),
            ("src/a/d.rs", "fn f() { super::e::g() }"),
            ("src/a/e.rs", "use crate::a::{B, x};"),
        ];
        assert_eq!(circles(&files), ["src/a/b.rs, src/a/c.rs, src/a/d.rs, src/a/e.rs"]);
        assert!(circles(&files[..4]).is_empty());
    }

    #[test]
    fn three_files_may_know_each_other() {
        let files = [
            ("src/a.rs", "use crate::b::B;"),
            ("src/b.rs", "use crate::c::C;"),
            ("src/c.rs", "use crate::a::A; use std::fmt;"),
        ];
        assert!(circles(&files).is_empty());
    }
}
