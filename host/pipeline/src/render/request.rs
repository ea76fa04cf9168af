//! What a component is given: what it may base its answer on, in one order, and nothing that changes without meaning. Its bytes are the
//! memo key.

use std::collections::BTreeMap;
use std::ops::Bound;

use banhbaoring_api::inventory::ChildEntry;
use serde_json::{Map, Value};

use super::{Outcome, Pass, RenderedSlot};
use crate::contract::{ActionResult, Answer, Child, Input, Json, ObjectReference, Request, SlotAnswer, SlotFilling};
use crate::fragment::{tells_phase, told_before};
use crate::graph::Node;
use crate::observation::{Observation, Owner};

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
            previous: told_before(&observation.owner, self.graph, &node.component.status_path, tells_phase(node, &observation.owner)),
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
