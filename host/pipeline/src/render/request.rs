//! What a component is given: what it may base its answer on, in one order, and nothing that changes without meaning. Its bytes are the
//! memo key.

use std::collections::BTreeMap;
use std::ops::Bound;

use banhbaoring_api::inventory::ChildEntry;
use serde_json::{Map, Value};

use super::{Outcome, Pass, RenderedSlot};
use crate::contract::{ActionResult, Answer, Child, Input, Json, ObjectReference, PhaseSource, Request, SlotAnswer, SlotFilling};
use crate::graph::Node;
use crate::json;
use crate::observation::{Observation, Owner};
use crate::report::RESERVED;

/// Written by clients for themselves: the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Pass<'_> {
    pub(super) fn request(&self, node: &Node, config: Json, slots: &[RenderedSlot], deleting: bool) -> Request {
        let observation = self.observation;
        let name = &node.component.name;
        let slot = |slot: &RenderedSlot| SlotAnswer {
            slot: slot.slot.clone(),
            provider: slot.provider.clone(),
            filling: SlotFilling::Seal(slot.seal.as_ref().clone()),
        };
        Request {
            owner: self.owner.clone(),
            component: name.clone(),
            config,
            plugin_config: node.plugin.config.clone(),
            previous: self.previous(node),
            platform: observation.platform.clone(),
            children: children(node, observation),
            inputs: self.inputs(node),
            slots: slots.iter().map(slot).collect(),
            answers: of_component(&observation.answers, name).map(|(id, outcome)| Answer { id, outcome }).collect(),
            results: of_component(&observation.results, name).map(|(id, outcome)| ActionResult { id, outcome }).collect(),
            deleting,
            time: node.component.clock_seconds.map(|seconds| observation.now - observation.now % u64::from(seconds.max(1))),
        }
    }

    /// Outputs of the components that it comes after, as far as they answered, sorted by component.
    fn inputs(&self, node: &Node) -> Vec<Input> {
        let mut inputs: Vec<_> = node
            .component
            .after
            .iter()
            .filter_map(|dependency| match &self.rendered.get(dependency.component.as_str())?.outcome {
                Outcome::Answered(response) => Some(Input { component: dependency.component.clone(), outputs: response.outputs.clone() }),
                _ => None,
            })
            .collect();
        inputs.sort_by(|a, b| a.component.cmp(&b.component));
        inputs.dedup_by(|a, b| a.component == b.component);
        inputs
    }

    /// The component's own fragment of the status, without what the host and other components put beside or below it.
    fn previous(&self, node: &Node) -> Option<Json> {
        let own = node.component.status_path.as_str();
        let owner = &self.observation.owner;
        let mut previous = json::get(owner.status()?, own)?.clone();
        if own.is_empty()
            && let Some(fields) = previous.as_object_mut()
        {
            for reserved in RESERVED {
                fields.remove(reserved);
            }
            if !tells_phase(node, owner) {
                fields.remove("phase");
            }
        }
        for other in self.graph.nodes.iter().map(|other| other.component.status_path.as_str()) {
            if let Some(below) = other.strip_prefix(own).filter(|below| below.starts_with('/')) {
                json::remove_pointer(&mut previous, below);
            }
        }
        let empty = previous.as_object().is_none_or(Map::is_empty);
        (!empty).then_some(previous)
    }
}

fn tells_phase(node: &Node, owner: &Owner) -> bool {
    let kind = owner.kind();
    node.plugin.descriptor.kinds.iter().any(|described| {
        let text = |pointer: &str| described.crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        described.phase == PhaseSource::Told && kind == format!("{}/{}", text("/spec/group"), text("/spec/names/kind"))
    })
}

/// The owner without status, and of its metadata only what names it and what its owner wrote.
pub(super) fn stripped(owner: &Owner) -> Json {
    let mut object = Map::new();
    for (key, value) in owner.object.as_object().into_iter().flatten().filter(|(key, _)| *key != "status" && *key != "metadata") {
        object.insert(key.clone(), value.clone());
    }
    let mut metadata = Map::new();
    for key in ["name", "namespace", "uid", "labels", "annotations"] {
        if let Some(value) = owner.object.pointer("/metadata").and_then(|metadata| metadata.get(key)) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    object.insert("metadata".to_owned(), Value::Object(metadata));
    Value::Object(object)
}

/// Its children that exist and are ours by uid, sorted by kind, namespace, name; of their fields those that it asked for.
fn children(node: &Node, observation: &Observation) -> Vec<Child> {
    let mut children: Vec<_> = observation
        .inventory
        .children
        .iter()
        .filter(|entry| entry.component == node.component.name)
        .filter_map(|entry| {
            let child = observation.children.get(&reference(entry)).filter(|child| entry.uid.as_ref() == Some(&child.uid))?;
            let views = node.component.children.iter().filter(|view| view.kind == entry.kind && view.api_version == entry.api_version);
            // What was observed is already by pointer, for all components that look at the kind.
            let wanted = views.flat_map(|view| &view.fields);
            let fields = wanted.filter_map(|pointer| Some((pointer.clone(), child.fields.get(pointer)?.clone()))).collect();
            Some(Child {
                reference: child.reference.clone(),
                readiness: child.readiness.state,
                reason: child.readiness.reason.clone(),
                message: child.readiness.message.clone(),
                fields: Value::Object(fields),
            })
        })
        .collect();
    children.sort_by(|a, b| key(a).cmp(&key(b)));
    children
}

fn key(child: &Child) -> (&str, Option<&str>, &str, &str) {
    let reference = &child.reference;
    (&reference.kind, reference.namespace.as_deref(), &reference.name, &reference.api_version)
}

pub(super) fn reference(entry: &ChildEntry) -> ObjectReference {
    ObjectReference {
        api_version: entry.api_version.clone(),
        kind: entry.kind.clone(),
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
    }
}

/// Entries of one component, by id.
fn of_component<'o, T: Clone>(all: &'o BTreeMap<(String, String), T>, component: &'o str) -> impl Iterator<Item = (String, T)> + 'o {
    all.range((Bound::Included((component.to_owned(), String::new())), Bound::Unbounded))
        .take_while(move |((of, _), _)| of == component)
        .map(|((_, id), outcome)| (id.clone(), outcome.clone()))
}
