//! One name, one thing.

use std::collections::BTreeMap;

use crate::source::{Source, is_identifier, sources};
use crate::{Finding, nothing_breaks};

/// Names that still stand for two types of one layer.
const DOUBLE: &[(&str, &str)] = &[("actors", "Answer"), ("actors", "Meter")];

#[test]
fn no_two_public_types_of_a_layer_have_one_name() {
    nothing_breaks(
        "whoever searches for a type finds it, and not its namesake",
        namesakes(&sources("src"), DOUBLE),
    );
}

/// Types of one name in one folder of `src`; and names in `double` that no longer are.
fn namesakes(sources: &[Source], double: &[(&str, &str)]) -> Vec<Finding> {
    let mut types: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for source in sources {
        let layer = source.path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or("");
        for keyword in ["struct", "enum", "trait", "type"] {
            for at in source.words(keyword) {
                let name = source.code[at + keyword.len()..].trim_start();
                let name = &name[..name.find(|c| !is_identifier(c)).unwrap_or(name.len())];
                if source.code[..at].ends_with("\npub ") {
                    types.entry((layer, name)).or_default().push(source.at(at));
                }
            }
        }
    }
    types.retain(|_, places| places.len() > 1);
    let settled = double.iter().filter(|known| !types.contains_key(known));
    let settled = settled.map(|(layer, name)| Finding::new("DOUBLE", format!("{layer} {name}")));
    let mut found: Vec<_> = settled.collect();
    found.extend(types.iter().filter(|(key, _)| !double.contains(key)).map(
        |((_, name), places)| Finding::new(places.join(", "), format!("`{name}` is two types")),
    ));
    found
}

#[test]
fn a_namesake_is_found() {
    let source = |path, text| Source::new(path, &format!("//! X.\n{text}"));
    let found = |other: Source, double: &[(&str, &str)]| {
        namesakes(&[source("src/a/x.rs", "pub struct Link;"), other], double).len()
    };
    let double = [("a", "Link")];
    assert_eq!(found(source("src/a/y.rs", "pub enum Link { A }"), &[]), 1);
    assert_eq!(found(source("src/a/y.rs", "pub enum Link { A }"), &double), 0);
    assert_eq!(found(source("src/a/y.rs", "enum Link { A }"), &[]), 0);
    assert_eq!(found(source("src/a/y.rs", "pub struct Links;"), &[]), 0);
    assert_eq!(found(source("src/b/y.rs", "pub struct Link;"), &[]), 0);
    assert_eq!(found(source("src/b/y.rs", "pub struct Link;"), &double), 1, "it is settled");
}
