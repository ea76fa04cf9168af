//! `banhbaoring graph`: the components of an owner, what each waits for, and how each fares.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use banhbaoring_pipeline::contract::{Gate, Json};
use banhbaoring_pipeline::{Graph, compose};

use super::{owner, plan};
use crate::args::{GraphArgs, GraphFormat};
use crate::error::CliError;
use crate::output::{self, Colour, colour};
use crate::sources;

/// State of a component by its name; empty where no operator has reported yet.
type States = BTreeMap<String, (String, String)>;

pub(super) async fn run(args: &GraphArgs) -> Result<ExitCode, CliError> {
    let loaded = sources::load(&args.plugins).await?;
    let object = match (&args.filename, &args.owner) {
        (Some(path), _) => owner::defaulted(owner::documents(path)?.swap_remove(0), &loaded)?,
        (None, Some(name)) => plan::live_owner(&args.cluster, name, &loaded).await?,
        (None, None) => return Err(CliError::Refused("of which owner? Give kind/name or --filename".to_owned())),
    };
    let owner = owner::owner(object, Some("default"))?;
    let states = states(owner.status());
    let graph = compose(&owner, &loaded.plugins);
    for problem in &graph.problems {
        output::note(&format!("{}: {}", problem.reason, problem.message));
    }
    let title = format!("{} {}", owner.reference.kind, owner.reference.name);
    output::print(&match args.output {
        GraphFormat::Text => text(&title, &graph, &states),
        GraphFormat::Mermaid => mermaid(&title, &graph, &states),
        GraphFormat::Svg => svg(&title, &graph, &states),
    });
    Ok(if graph.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn states(status: Option<&Json>) -> States {
    let text = |entry: &Json, key: &str| entry.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    status
        .and_then(|status| status.get("components"))
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .map(|entry| (text(entry, "name"), (text(entry, "state"), text(entry, "message"))))
        .collect()
}

fn gate(gate: Gate) -> &'static str {
    match gate {
        Gate::Applied => "applied",
        Gate::Ready => "ready",
        Gate::Outputs => "outputs",
    }
}

fn text(title: &str, graph: &Graph, states: &States) -> String {
    let mut text = format!("{title}\n");
    for (index, node) in graph.nodes.iter().enumerate() {
        let last = index + 1 == graph.nodes.len();
        let (branch, stem) = if last { ("└─", "  ") } else { ("├─", "│ ") };
        let name = &node.component.name;
        let (state, message) = states.get(name).cloned().unwrap_or_default();
        let shown = match state.as_str() {
            "" => String::new(),
            "Ready" | "Disabled" => format!("  {}", colour(&state, Colour::Green)),
            "Progressing" => format!("  {}", colour(&state, Colour::Yellow)),
            _ => format!("  {}", colour(&state, Colour::Red)),
        };
        let message = if message.is_empty() { message } else { format!("  {}", colour(&message, Colour::Dim)) };
        let _ = writeln!(text, "{branch} {name} ({} {}){shown}{message}", node.plugin.name, node.plugin.descriptor.version);
        for slot in &node.slots {
            let _ = writeln!(text, "{stem}   {} = {} ({})", slot.slot, slot.provider, slot.plugin.name);
        }
        for dependency in &node.component.after {
            let _ = writeln!(text, "{stem}   after {} ({})", dependency.component, gate(dependency.gate));
        }
    }
    text
}

fn mermaid(title: &str, graph: &Graph, states: &States) -> String {
    let mut text = format!("---\ntitle: {title}\n---\ngraph TD\n");
    for node in &graph.nodes {
        let name = &node.component.name;
        let state = states.get(name).map(|(state, _)| format!("<br/>{state}")).unwrap_or_default();
        let _ = writeln!(text, "  {}[\"{name}{state}\"]", identifier(name));
        for slot in &node.slots {
            let _ = writeln!(text, "  {}([\"{}\"]) -. {} .-> {}", identifier(&slot.provider), slot.provider, slot.slot, identifier(name));
        }
        for dependency in &node.component.after {
            let _ = writeln!(text, "  {} -- {} --> {}", identifier(&dependency.component), gate(dependency.gate), identifier(name));
        }
    }
    text
}

/// Mermaid's identifiers may not contain everything that names may.
fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

const WIDTH: usize = 240;
const HEIGHT: usize = 48;
const GAP: usize = 32;

/// Boxes from top to bottom in graph order, arrows to the right of them.
fn svg(title: &str, graph: &Graph, states: &States) -> String {
    let total = (HEIGHT + GAP) * graph.nodes.len() + 2 * GAP + 24;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{total}\" font-family=\"sans-serif\" font-size=\"14\">\n<text x=\"16\" y=\"28\" font-weight=\"bold\">{}</text>\n",
        WIDTH + 260,
        escape(title)
    );
    let top = |index: usize| GAP + 24 + index * (HEIGHT + GAP);
    for (index, node) in graph.nodes.iter().enumerate() {
        let (state, _) = states.get(&node.component.name).cloned().unwrap_or_default();
        let fill = match state.as_str() {
            "Ready" | "Disabled" => "#d8f3dc",
            "Progressing" => "#fff3bf",
            "" => "#eeeeee",
            _ => "#ffd6d6",
        };
        let y = top(index);
        let _ = writeln!(
            text,
            "<rect x=\"16\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\" fill=\"{fill}\" stroke=\"#555\"/><text x=\"28\" y=\"{}\">{}</text><text x=\"28\" y=\"{}\" fill=\"#555\" font-size=\"12\">{}</text>",
            y + 20,
            escape(&node.component.name),
            y + 38,
            escape(&state)
        );
        for (n, slot) in node.slots.iter().enumerate() {
            let _ = writeln!(
                text,
                "<text x=\"{}\" y=\"{}\" font-size=\"12\">{}: {}</text>",
                WIDTH + 32,
                y + 18 + n * 16,
                escape(&slot.slot),
                escape(&slot.provider)
            );
        }
        for dependency in &node.component.after {
            if let Some(before) = graph.nodes.iter().position(|other| other.component.name == dependency.component) {
                let (from, x) = (top(before) + HEIGHT, 40 + 24 * before);
                let _ = writeln!(
                    text,
                    "<path d=\"M {x} {from} L {x} {y}\" stroke=\"#555\" fill=\"none\"/><text x=\"{}\" y=\"{}\" font-size=\"11\" fill=\"#555\">{}</text>",
                    x + 4,
                    y - 8,
                    gate(dependency.gate)
                );
            }
        }
    }
    text.push_str("</svg>\n");
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
