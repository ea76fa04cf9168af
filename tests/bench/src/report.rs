//! What was measured, as a table for people and as JSON. How a page is made of it is `page`'s.

use std::fmt::Write as _;

use serde::Serialize;

use crate::machine::Machine;

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What is measured.
    pub(crate) what: String,
    /// The figure, for people.
    pub(crate) measured: String,
    /// What it is compared with, for people.
    pub(crate) against: String,
    /// The ratio, or the count or difference that has a limit of its own.
    pub(crate) value: String,
    /// The limit; empty where the row only tells.
    pub(crate) must: String,
    /// Whether it was kept; absent where the row only tells.
    pub(crate) met: Option<bool>,
}

impl Row {
    /// A row without a limit.
    pub(crate) fn told(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into(), against: String::new(), value: String::new(), must: String::new(), met: None }
    }

    /// The same, compared with something.
    pub(crate) fn against(self, against: impl Into<String>) -> Self {
        Self { against: against.into(), ..self }
    }

    /// The same with a value that may be at most `limit`; `unit` stands behind both.
    pub(crate) fn at_most(self, value: f64, limit: f64, unit: &str) -> Self {
        Self { value: number(value, unit), must: format!("≤ {}", number(limit, unit)), met: Some(value <= limit), ..self }
    }

    /// The same with a value that must be at least `limit`.
    pub(crate) fn at_least(self, value: f64, limit: f64, unit: &str) -> Self {
        Self { value: number(value, unit), must: format!("≥ {}", number(limit, unit)), met: Some(value >= limit), ..self }
    }

    /// The same with a value that has no limit.
    pub(crate) fn of(self, value: f64, unit: &str) -> Self {
        Self { value: number(value, unit), ..self }
    }
}

fn number(value: f64, unit: &str) -> String {
    let value = match value.abs() {
        whole if whole.fract() == 0.0 && whole < 1e9 => format!("{value:.0}"),
        large if large >= 100.0 => format!("{value:.0}"),
        small if small < 0.1 => format!("{value:.3}"),
        _ => format!("{value:.2}"),
    };
    format!("{value}{unit}")
}

/// Lines of one plot.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) across: String,
    pub(crate) up: String,
    pub(crate) series: Vec<Series>,
}

/// One line of a plot.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// All rows on one subject.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
    /// What somebody should know who reads the rows.
    pub(crate) notes: Vec<String>,
    pub(crate) plots: Vec<Plot>,
    /// Why there is nothing, where measuring failed.
    pub(crate) failed: Option<String>,
}

impl Section {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), rows: Vec::new(), notes: Vec::new(), plots: Vec::new(), failed: None }
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// The whole report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) sections: Vec<Section>,
}

impl Report {
    pub(crate) fn missed(&self) -> usize {
        self.sections.iter().flat_map(|section| &section.rows).filter(|row| row.met == Some(false)).count()
    }

    pub(crate) fn failed(&self) -> usize {
        self.sections.iter().filter(|section| section.failed.is_some()).count()
    }
}

const HEADINGS: [&str; 6] = ["what", "measured", "against", "value", "must reach", ""];

/// A section for the terminal.
pub(crate) fn table(section: &Section) -> String {
    let cells =
        |row: &Row| [row.what.clone(), row.measured.clone(), row.against.clone(), row.value.clone(), row.must.clone(), mark(row).into()];
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(section.rows.iter().map(cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = format!("\n{}\n", section.title);
    for line in &lines {
        let padded: Vec<String> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count()))))
            .collect();
        let _ = writeln!(text, "  {}", padded.join("  ").trim_end());
    }
    for note in &section.notes {
        let _ = writeln!(text, "  · {note}");
    }
    if let Some(failed) = &section.failed {
        let _ = writeln!(text, "  not measured: {failed}");
    }
    text
}

pub(crate) fn mark(row: &Row) -> &'static str {
    match row.met {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "",
    }
}
