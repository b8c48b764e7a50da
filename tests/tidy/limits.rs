//! The table of limits, held against the settings.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::source::read;
use crate::{Finding, nothing_breaks};

const PATH: &str = "docs/LIMITS.md";

/// Numbers among the settings that bound nothing, and what they are.
const NO_LIMITS: &[(&str, &str)] = &[
    ("limits.heartbeat_ms", "a rhythm"),
    ("limits.leeway_seconds", "a tolerance of clocks"),
    ("rabbitmq.heartbeat_seconds", "a rhythm"),
    ("rabbitmq.reconnect_ms", "a pause"),
    ("rabbitmq.outbox_poll_ms", "a rhythm"),
];

#[test]
fn the_table_of_limits_has_each_limit_of_the_settings_with_its_default() {
    let settings: Table = read("config/default.toml").parse().expect("TOML");
    nothing_breaks(
        "what an operator reads of a limit is what is in force",
        differences(&read(PATH), &settings),
    );
}

/// The settings' keys in the second column, the default in the third.
fn differences(text: &str, settings: &Table) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut listed = BTreeSet::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("| ")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let key = cells[2].trim_matches('`');
        if !cells[2].starts_with('`') {
            continue;
        }
        let at = || format!("{PATH}:{}", number + 1);
        listed.insert(key.to_owned());
        let shown = cells[3].split(' ').next().unwrap_or_default().replace(',', "");
        match number_at(settings, key) {
            None => found.push(Finding::new(at(), format!("{key} is no number of the settings"))),
            Some(value) if shown != value.to_string() => {
                found.push(Finding::new(at(), format!("{key} is {value}, and not {shown}")));
            }
            Some(_) => {}
        }
    }
    for section in ["limits", "database", "socketio", "rabbitmq"] {
        let keys = settings.get(section).and_then(Value::as_table).into_iter().flatten();
        let bounds = keys.filter(|(_, value)| value.is_integer());
        for key in bounds.map(|(key, _)| format!("{section}.{key}")) {
            if !listed.contains(&key) && !NO_LIMITS.iter().any(|(known, _)| *known == key) {
                found.push(Finding::new(PATH, format!("{key} is missing")));
            }
        }
    }
    found
}

fn number_at(settings: &Table, key: &str) -> Option<i64> {
    let (section, key) = key.split_once('.')?;
    settings.get(section)?.get(key)?.as_integer()
}

#[test]
fn a_row_that_differs_from_the_settings_is_found() {
    let settings = "limits = { a = 1000, b = 2 }".parse().expect("TOML");
    let found = |rows: &str| differences(rows, &settings).len();
    let (a, b) = ("| x | `limits.a` | 1,000 s | y |\n", "| x | `limits.b` | 2 | y |\n");
    assert_eq!(found(&format!("{a}{b}")), 0);
    assert_eq!(found(a), 1, "one is missing");
    assert_eq!(found(&format!("{a}{}", b.replace('2', "3"))), 1);
    assert_eq!(found(&format!("{a}{b}{}", b.replace(".b", ".c"))), 1);
}
