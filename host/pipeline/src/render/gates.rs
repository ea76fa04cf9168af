//! How far other components have come: decided from the inventory and what was observed, never from labels.

use super::{Outcome, Pass, Rendered};
use crate::contract::{ApplyMode, Dependency, Gate, Json, ReadinessState, Response, State};
use crate::graph::Node;
use crate::observation::Observation;
use banhbaoring_api::inventory::ChildEntry;

impl Pass<'_> {
    /// The first closed gate of a component, if any.
    pub(super) fn gates(&self, node: &Node) -> Result<(), Box<Outcome>> {
        let closed = |dependency: &&Dependency| {
            let rendered = self.rendered.get(dependency.component.as_str());
            !rendered.is_some_and(|rendered| is_open(dependency.gate, rendered, self.observation))
        };
        match node.component.after.iter().find(closed) {
            Some(dependency) => Err(Box::new(Outcome::Waiting(dependency.clone()))),
            None => Ok(()),
        }
    }
}

fn is_open(gate: Gate, rendered: &Rendered, observation: &Observation) -> bool {
    let Outcome::Answered(response) = &rendered.outcome else { return false };
    match gate {
        Gate::Outputs => response.outputs.as_object().is_some_and(|outputs| !outputs.is_empty()),
        Gate::Applied => children(rendered, response, observation).all(|child| child.is_some()),
        Gate::Ready => {
            // What the spec has switched off will never be ready; nobody has to wait for it.
            let serves = matches!(response.state, State::Ready | State::Disabled);
            serves
                && !observation.unobserved.contains_key(&rendered.component)
                && children(rendered, response, observation).all(|child| child.is_some_and(|entry| is_ready(entry, observation)))
        }
    }
}

/// What a component wants to be there, each with its entry in the inventory once it is.
fn children<'o>(
    rendered: &'o Rendered,
    response: &'o Response,
    observation: &'o Observation,
) -> impl Iterator<Item = Option<&'o ChildEntry>> {
    let own_namespace = observation.owner.reference.namespace.as_deref();
    let entry = move |group: &str, kind: &str, namespace: Option<&str>, name: &str| {
        observation.inventory.children.iter().find(|entry| {
            entry.component == rendered.component
                && entry.uid.is_some()
                && entry.kind == kind
                && entry.name == name
                && entry.api_version.split_once('/').map_or("", |(group, _)| group) == group
                // Without a namespace it is the owner's own, or it has none.
                && (entry.namespace.as_deref() == namespace || (namespace.is_none() && entry.namespace.as_deref() == own_namespace))
        })
    };
    // What is applied only where it exists already may never exist.
    let objects = response.objects.iter().filter(|object| object.mode != ApplyMode::IfExists).map(move |object| {
        let text = |pointer: &str| object.manifest.pointer(pointer).and_then(Json::as_str);
        let group = text("/apiVersion").and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
        entry(group, text("/kind")?, text("/metadata/namespace"), text("/metadata/name")?)
    });
    let secrets = response.secrets.iter().chain(rendered.slots.iter().flat_map(|slot| &slot.seal.secrets));
    objects.chain(secrets.map(move |secret| entry("", "Secret", None, &secret.name)))
}

fn is_ready(entry: &ChildEntry, observation: &Observation) -> bool {
    let observed = observation.children.get(&super::request::reference(entry));
    observed.is_some_and(|child| {
        entry.uid.as_deref() == Some(child.uid.as_str()) && !child.deleting && child.readiness.state == ReadinessState::Ready
    })
}
