//! The dashboard and the alerts: every metric in them exists, and every alert is explained.

use std::collections::BTreeSet;

use frontdesk::metrics::Metrics;
use serde_json::Value;

use crate::source::read;
use crate::{Finding, nothing_breaks};

const DASHBOARD: &str = "deploy/monitoring/dashboard.json";
const ALERTS: &str = "deploy/monitoring/alerts.yaml";

/// True if a metric can have a sample of this name.
fn is_sample(name: &str) -> bool {
    let Some(name) = name.strip_prefix("frontdesk_") else { return false };
    ["", "_total", "_bucket", "_sum", "_count"]
        .iter()
        .any(|suffix| name.strip_suffix(suffix).is_some_and(|name| Metrics::NAMES.contains(&name)))
}

fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices("frontdesk_")
        .map(|(at, _)| text[at..].chars().take_while(|c| is_part(*c)).collect())
        .collect()
}

#[test]
fn every_metric_of_the_dashboard_and_the_alerts_exists() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
    nothing_breaks(
        "a panel or an alert of a metric that does not exist is silent for ever",
        [DASHBOARD, ALERTS].into_iter().flat_map(|path| {
            let unknown: Vec<_> =
                named(&read(path)).into_iter().filter(|name| !is_sample(name)).collect();
            unknown
                .into_iter()
                .map(move |name| Finding::new(path, format!("{name} does not exist")))
        }),
    );
}

#[test]
fn every_alert_is_explained() {
    let (alerts, explained) = (read(ALERTS), read("docs/ALERTS.md"));
    let names: Vec<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 5);
    nothing_breaks(
        "who is woken by an alert must know what to do",
        names
            .into_iter()
            .filter(|name| !explained.contains(&format!("| `{name}` |")))
            .map(|name| Finding::new("docs/ALERTS.md", format!("{name} is missing"))),
    );
}
