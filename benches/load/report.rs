//! Figures beside their floors: a table to read, JSON to keep.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::ledger::Verdict;
use crate::stats::median;
use crate::transport::Transport;

/// Everything that was measured.
#[derive(Serialize)]
pub struct Report {
    pub transport: Transport,
    sections: Vec<Section>,
    /// Scenarios that came to no end.
    failures: Vec<String>,
}

/// One scenario on one database.
#[derive(Serialize)]
pub struct Section {
    pub title: String,
    pub database: String,
    /// Meaning of the third column.
    pub beside: &'static str,
    pub figures: Vec<Figure>,
    pub verified: Verdict,
}

/// A figure, the median of its runs, and the one it is held against.
#[derive(Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub measured: Option<f64>,
    pub floor: Option<f64>,
    pub runs: Vec<f64>,
}

/// The names of figures whose floor is made of two.
pub const DATABASE: &str = "CPU of the database";
pub const BOTH: &str = "CPU of both";

/// A figure's name, its unit, and how it is read off a run.
pub type Measure<T> = (&'static str, &'static str, fn(&T) -> f64);

/// The medians of some runs, beside those of a floor's. What is 0 everywhere is left out: an
/// embedded database has no processes, and the bare peer no database.
pub fn figures<T>(measures: &[Measure<T>], runs: &[T], floor: &[T]) -> Vec<Figure> {
    let read = |runs: &[T], figure: fn(&T) -> f64| runs.iter().map(figure).collect::<Vec<_>>();
    measures
        .iter()
        .map(|(name, unit, figure)| {
            let floor = Some(median(&read(floor, *figure))).filter(|floor| *floor > 0.0);
            Figure::new(name, unit, read(runs, *figure)).beside(floor)
        })
        .filter(|figure| figure.measured != Some(0.0))
        .collect()
}

/// Adds what the database needs when nobody is in between to the floors of the bare peer.
pub fn add_floor(figures: &mut [Figure], database_us: f64) {
    for figure in figures {
        match figure.name {
            DATABASE => figure.floor = Some(database_us),
            BOTH => figure.floor = figure.floor.map(|bare| bare + database_us),
            _ => {}
        }
    }
}

impl Figure {
    /// The median of some runs, with nothing beside it yet.
    pub fn new(name: &'static str, unit: &'static str, runs: Vec<f64>) -> Self {
        Self { name, unit, measured: Some(median(&runs)), floor: None, runs }
    }

    /// The same, beside a floor.
    pub fn beside(mut self, floor: impl Into<Option<f64>>) -> Self {
        self.floor = floor.into();
        self
    }

    /// A figure that only the floor has.
    pub fn floor(name: &'static str, unit: &'static str, floor: f64) -> Self {
        Self { name, unit, measured: None, floor: Some(floor), runs: Vec::new() }
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.measured? / self.floor.filter(|floor| *floor > 0.0)?)
    }
}

impl Section {
    /// The median of a figure by its name.
    pub fn measured(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name)?.measured
    }
}

impl Report {
    /// Nothing is measured yet; sessions are on this transport.
    pub fn over(transport: Transport) -> Self {
        Self { transport, sections: Vec::new(), failures: Vec::new() }
    }

    /// Prints a section as soon as it is there, and keeps it.
    pub fn add(&mut self, section: Section) {
        println!("{}", Table { section: &section, transport: self.transport });
        self.sections.push(section);
    }

    /// The section of this title and database.
    pub fn find(&self, title: &str, database: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title && section.database == database)
    }

    /// Prints that a scenario came to no end, and keeps it.
    pub fn fail(&mut self, failure: String) {
        println!("!!! FAILED: {failure}\n");
        self.failures.push(failure);
    }

    /// True if all was measured, and nothing was lost, doubled, forged or out of order.
    pub fn is_sound(&self) -> bool {
        self.failures.is_empty()
            && self.sections.iter().all(|section| section.verified.fault_count == 0)
    }

    /// Writes all of it as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A section to read.
struct Table<'a> {
    section: &'a Section,
    transport: Transport,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Section { title, database, beside, figures, verified } = self.section;
        writeln!(
            f,
            "{:<54}{:>12}{beside:>12}{:>9}",
            format!("{title} · {database} · {}", self.transport),
            "measured",
            "ratio"
        )?;
        for figure in figures {
            writeln!(
                f,
                "  {:<36}{:<16}{:>12}{:>12}{:>9}",
                figure.name,
                figure.unit,
                shown(figure.measured),
                shown(figure.floor),
                figure.ratio().map_or(String::new(), |ratio| format!("{ratio:.2} x")),
            )?;
        }
        if verified.fault_count == 0 && verified.messages == 0 {
            return Ok(());
        }
        if verified.fault_count == 0 {
            return writeln!(f, "  verified: {} messages", thousands(verified.messages as f64));
        }
        writeln!(f, "  !!! VERIFICATION FAILED, {} faults:", verified.fault_count)?;
        verified.faults.iter().try_for_each(|fault| writeln!(f, "  !!! {fault}"))
    }
}

/// Three digits that mean something, and no more.
fn shown(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value >= 1000.0 => thousands(value),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}
