//! Dependencies, checked against `deny.toml` without a network.

use std::collections::BTreeSet;
use std::process::Command;

use semver::{Version, VersionReq};
use toml::{Table, Value};

use crate::source::{read, root};
use crate::{Finding, nothing_breaks};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The packages of this repository.
const OURS: [&str; 2] = [env!("CARGO_PKG_NAME"), "testkit"];

#[test]
fn no_dependency_is_banned() {
    let bans = bans(&table("deny.toml"));
    // An optional dependency that nothing turns on stands in the lock file, and is never built.
    let built: BTreeSet<_> = built().into_iter().map(|package| package.name).collect();
    let packages = locked(&table("Cargo.lock"));
    nothing_breaks(
        "deny.toml names the reason of each ban",
        packages.iter().filter(|p| built.contains(&p.name)).flat_map(|p| banned(p, &bans)),
    );
}

#[test]
fn every_dependency_comes_from_crates_io_with_a_checksum() {
    nothing_breaks(
        "what is built tomorrow is what was looked at today",
        locked(&table("Cargo.lock")).iter().filter_map(unpinned),
    );
}

#[test]
fn every_dependencys_licence_is_permissive() {
    let deny = table("deny.toml");
    let allowed: Vec<_> = strings(&deny["licenses"]["allow"]).collect();
    nothing_breaks(
        "the binary may be shipped to anyone: see [licenses] in deny.toml",
        built().into_iter().filter(|package| !permits(&package.licence, &allowed)).map(|package| {
            Finding::new("Cargo.lock", format!("{} is {}", package.name, package.licence))
        }),
    );
}

struct Locked {
    name: String,
    version: Version,
    source: Option<String>,
    has_checksum: bool,
}

struct Built {
    name: String,
    licence: String,
}

struct Ban {
    name: String,
    versions: VersionReq,
    reason: String,
}

fn table(path: &str) -> Table {
    read(path).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn locked(lock: &Table) -> Vec<Locked> {
    let packages = lock["package"].as_array().into_iter().flatten();
    packages
        .map(|package| Locked {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            version: package["version"]
                .as_str()
                .and_then(|version| version.parse().ok())
                .expect("the lock file names versions"),
            source: package.get("source").and_then(Value::as_str).map(str::to_owned),
            has_checksum: package.get("checksum").is_some(),
        })
        .collect()
}

/// The packages that are built on this machine, for the binary, its build and its tests.
fn built() -> Vec<Built> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--all-features", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"])
        .current_dir(root())
        .output()
        .expect("cargo, which runs this test, runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: BTreeSet<_> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines
        .iter()
        .filter_map(|line| line.split_once('|'))
        .map(|(package, licence)| Built {
            name: package.split(' ').next().unwrap_or(package).to_owned(),
            licence: licence.to_owned(),
        })
        .collect()
}

/// The entries of `bans.deny`: `{ crate = "name" or "name:versions", reason = "…" }`.
fn bans(deny: &Table) -> Vec<Ban> {
    let entries = deny["bans"]["deny"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            let spec = entry["crate"].as_str().expect("a ban names a crate");
            let (name, versions) = spec.split_once(':').unwrap_or((spec, "*"));
            Ban {
                name: name.to_owned(),
                versions: versions.parse().unwrap_or_else(|error| panic!("{spec}: {error}")),
                reason: entry["reason"].as_str().expect("a ban has a reason").to_owned(),
            }
        })
        .collect()
}

fn banned(package: &Locked, bans: &[Ban]) -> Vec<Finding> {
    // Build metadata and pre-releases would slip through a plain requirement.
    let Version { major, minor, patch, .. } = package.version;
    bans.iter()
        .filter(|ban| ban.name == package.name)
        .filter(|ban| ban.versions.matches(&Version::new(major, minor, patch)))
        .map(|ban| {
            Finding::new(
                "Cargo.lock",
                format!("{} {}: {}", package.name, package.version, ban.reason),
            )
        })
        .collect()
}

fn unpinned(package: &Locked) -> Option<Finding> {
    let is_ours = OURS.contains(&package.name.as_str()) && package.source.is_none();
    let is_pinned = package.source.as_deref() == Some(REGISTRY) && package.has_checksum;
    (!is_ours && !is_pinned).then(|| {
        let source = package.source.as_deref().unwrap_or("a path");
        Finding::new("Cargo.lock", format!("{} comes from {source}", package.name))
    })
}

/// True if these licences alone satisfy an SPDX expression. `/` is an old way to write OR.
fn permits(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<_> = spaced.split_whitespace().collect();
    !tokens.is_empty() && any_of(&mut tokens.as_slice(), allowed)
}

fn any_of(tokens: &mut &[&str], allowed: &[&str]) -> bool {
    let mut met = all_of(tokens, allowed);
    while let Some((&"OR", rest)) = tokens.split_first() {
        *tokens = rest;
        met |= all_of(tokens, allowed);
    }
    met
}

fn all_of(tokens: &mut &[&str], allowed: &[&str]) -> bool {
    let mut met = one(tokens, allowed);
    while let Some((&"AND", rest)) = tokens.split_first() {
        *tokens = rest;
        met &= one(tokens, allowed);
    }
    met
}

fn one(tokens: &mut &[&str], allowed: &[&str]) -> bool {
    let Some((first, rest)) = tokens.split_first() else { return false };
    *tokens = rest;
    if *first == "(" {
        let met = any_of(tokens, allowed);
        // What closes the group.
        *tokens = tokens.get(1..).unwrap_or_default();
        return met;
    }
    // An exception, such as LLVM's, only ever grants more.
    if let [exception, _, rest @ ..] = *tokens
        && *exception == "WITH"
    {
        *tokens = rest;
    }
    allowed.contains(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(entry: &str) -> Locked {
        let lock = format!("[[package]]\n{entry}").parse().expect("TOML");
        locked(&lock).remove(0)
    }

    #[test]
    fn a_banned_version_is_found() {
        let deny = r#"
            [bans]
            deny = [
                { crate = "a", reason = "never" },
                { crate = "b:<1.2.3", reason = "fixed" },
                { crate = "c:>=0.6.0, <0.6.2", reason = "between" },
            ]
        "#;
        let bans = bans(&deny.parse().expect("TOML"));
        let found = |name: &str, version: &str| {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"");
            !banned(&lock(&entry), &bans).is_empty()
        };
        for (name, version) in
            [("a", "9.0.0"), ("b", "1.2.2"), ("b", "1.2.2-rc.1+x"), ("c", "0.6.1")]
        {
            assert!(found(name, version), "{name} {version}");
        }
        for (name, version) in [("b", "1.2.3"), ("b", "1.2.3+x"), ("c", "0.6.2"), ("d", "1.0.0")] {
            assert!(!found(name, version), "{name} {version}");
        }
    }

    #[test]
    fn a_dependency_from_elsewhere_or_without_a_checksum_is_found() {
        let from =
            |lines: &str| unpinned(&lock(&format!("name = \"a\"\nversion = \"1.0.0\"\n{lines}")));
        let registry = format!("source = \"{REGISTRY}\"\n");
        assert!(from(&format!("{registry}checksum = \"00\"")).is_none());
        assert!(from(&registry).is_some());
        assert!(from("source = \"git+https://example.com/a\"\nchecksum = \"00\"").is_some());
        assert!(from("").is_some());
    }

    #[test]
    fn a_licence_expression_is_weighed() {
        let allowed = ["MIT", "ISC"];
        for met in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "MIT AND (ISC OR GPL-3.0)"] {
            assert!(permits(met, &allowed), "{met}");
        }
        assert!(permits("MIT WITH LLVM-exception OR GPL-3.0", &allowed));
        for unmet in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0"] {
            assert!(!permits(unmet, &allowed), "{unmet}");
        }
    }
}
