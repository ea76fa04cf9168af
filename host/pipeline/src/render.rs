//! Step 3: calls each component whose gates are open, slots first, and collects what it wants. Pure behind [`Render`].
//!
//! `request` (what a component is given, no more), `gates` (how far others have come), `slots` (providers before the component),
//! `needs` (questions and their limits). Grants of a component's own answer are step 4.

mod gates;
mod needs;
mod request;
mod slots;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use needs::{MAX_NEEDS, MAX_ROUNDS, Unanswered, unanswered};

use crate::admit::Refusal;
use crate::config;
use crate::contract::{Criticality, Dependency, Failure, FailureClass, Json, Request, Response, Seal, SealRequest};
use crate::graph::{Graph, Node};
use crate::observation::Observation;
use crate::plugins::ActivePlugin;

/// Calls into plugins. The sandbox implements it; tests implement it with closures.
pub trait Render {
    /// Asks a component.
    ///
    /// # Errors
    /// The plugin's own failure, or the host's class [`crate::contract::FailureClass::Plugin`] for traps, limits and unparsable answers.
    fn reconcile(&self, plugin: &ActivePlugin, request: &Request) -> Result<Arc<Response>, Failure>;

    /// Asks an unseal provider.
    ///
    /// # Errors
    /// As [`Render::reconcile`].
    fn render_seal(&self, plugin: &ActivePlugin, provider: &str, request: &SealRequest) -> Result<Arc<Seal>, Failure>;
}

/// What all components of an owner ask for, in graph order. Not admitted: nothing can apply it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Desired {
    /// One per node of the graph.
    pub components: Vec<Rendered>,
}

/// What one component asks for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rendered {
    /// Name.
    pub component: String,
    /// Who serves it.
    pub plugin: Arc<ActivePlugin>,
    /// What its failure means.
    pub criticality: Criticality,
    /// Answers of its slots, each already admitted under its own plugin's grants.
    pub slots: Vec<RenderedSlot>,
    /// What came of asking it.
    pub outcome: Outcome,
}

/// The admitted answer of one slot.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RenderedSlot {
    /// Name of the slot.
    pub slot: String,
    /// Provider.
    pub provider: String,
    /// Whose grants it was admitted under.
    pub plugin: Arc<ActivePlugin>,
    /// The answer.
    pub seal: Arc<Seal>,
}

/// What came of asking a component.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It answered.
    Answered(Arc<Response>),
    /// It, or a provider of a slot of its, failed.
    Failed(Failure),
    /// The answer of a slot's provider is beyond the grants of the provider's plugin.
    Refused(Refusal),
    /// A gate is closed.
    Waiting(Dependency),
}

/// Asks every component whose gates are open, in graph order.
///
/// While the owner is being deleted, gates no longer count and components finalise in reverse order: one that others come after is told of
/// the deletion once all of those have finalised, and goes on as before until then.
pub fn render(graph: &Graph, observation: &Observation, renderer: &dyn Render) -> Desired {
    let mut pass = Pass {
        graph,
        observation,
        renderer,
        owner: request::stripped(&observation.owner),
        rendered: BTreeMap::new(),
        finalised: BTreeSet::new(),
    };
    let deleting = observation.owner.deleting;
    for node in &graph.nodes {
        pass.ask(node, deleting && pass.dependents(node).next().is_none());
    }
    if deleting {
        for node in graph.nodes.iter().rev().filter(|node| pass.dependents(node).next().is_some()).collect::<Vec<_>>() {
            if pass.dependents(node).all(|dependent| pass.finalised.contains(dependent.component.name.as_str())) {
                pass.ask(node, true);
            }
        }
    }
    let Pass { mut rendered, .. } = pass;
    Desired { components: graph.nodes.iter().filter_map(|node| rendered.remove(node.component.name.as_str())).collect() }
}

struct Pass<'a> {
    graph: &'a Graph,
    observation: &'a Observation,
    renderer: &'a dyn Render,
    owner: Json,
    rendered: BTreeMap<&'a str, Rendered>,
    finalised: BTreeSet<&'a str>,
}

impl<'a> Pass<'a> {
    /// Components that come after this one.
    fn dependents(&self, node: &Node) -> impl Iterator<Item = &'a Node> {
        let name = node.component.name.clone();
        self.graph.nodes.iter().filter(move |other| other.component.after.iter().any(|dependency| dependency.component == name))
    }

    fn ask(&mut self, node: &'a Node, deleting: bool) {
        let mut slots = Vec::new();
        let outcome = match self.answer(node, deleting, &mut slots) {
            Ok(response) => {
                if deleting && response.finalized {
                    self.finalised.insert(&node.component.name);
                }
                Outcome::Answered(response)
            }
            Err(outcome) => *outcome,
        };
        let rendered = Rendered {
            component: node.component.name.clone(),
            plugin: node.plugin.clone(),
            criticality: node.component.criticality,
            slots,
            outcome,
        };
        self.rendered.insert(&node.component.name, rendered);
    }

    fn answer(&self, node: &Node, deleting: bool, slots: &mut Vec<RenderedSlot>) -> Result<Arc<Response>, Box<Outcome>> {
        if !self.observation.owner.deleting {
            self.gates(node)?;
        }
        let config = self.config(node).map_err(failed)?;
        for slot in &node.slots {
            slots.push(self.slot(node, slot, &config)?);
        }
        let request = self.request(node, config, slots, deleting);
        let response = self.renderer.reconcile(&node.plugin, &request).map_err(failed)?;
        needs::check(&response).map_err(failed)?;
        if response.finalized && !deleting {
            // It was not asked: taken at its word, the owner would go before what is left of it.
            return Ok(Arc::new(Response { finalized: false, ..response.as_ref().clone() }));
        }
        Ok(response)
    }

    /// The component's config with defaults, checked against its schema.
    fn config(&self, node: &Node) -> Result<Json, Failure> {
        let component = &node.component;
        let written = config::written(&self.observation.owner, &component.config_path);
        fitting(&node.plugin, &component.name, component.config_schema.as_ref(), written, &[&component.config_path])
    }
}

fn failed(failure: Failure) -> Box<Outcome> {
    Box::new(Outcome::Failed(failure))
}

/// A config with defaults filled in that fits its schema; `path` is where it lies below the owner's spec.
fn fitting(
    plugin: &ActivePlugin,
    name: &str,
    schema: Option<&Json>,
    written: std::borrow::Cow<'_, Json>,
    path: &[&str],
) -> Result<Json, Failure> {
    let unusable = |error: config::SchemaError| Failure {
        class: FailureClass::Plugin,
        reason: error.reason().to_owned(),
        message: format!("config schema of {name} in plugin {}: {error}", plugin.name),
        field: None,
    };
    let Some(schema) = schema else { return Ok(written.into_owned()) };
    // Compiling comes first: it finds out whether following the references ends.
    let compiled = config::schema(&plugin.name, &plugin.digest, name, schema).map_err(unusable)?;
    let config = config::completed(Some(schema), written).map_err(unusable)?;
    let misfits = compiled.misfits(&config);
    let field = |misfit: &config::Misfit| config::field(&[path, &[&misfit.pointer]].concat());
    match misfits.first() {
        None => Ok(config),
        Some(first) => {
            let told: Vec<_> = misfits.iter().map(|misfit| format!("{}: {}", field(misfit), misfit.message)).collect();
            Err(Failure {
                class: FailureClass::InvalidConfig,
                reason: "ConfigInvalid".to_owned(),
                message: format!("expected a config that fits the schema of {name}, found {}; mend the spec there", told.join("; ")),
                field: Some(field(first)),
            })
        }
    }
}

#[cfg(test)]
mod tests;
