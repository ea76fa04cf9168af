//! What the host adds to every object before it is sent: labels (an index, never proof), the owner reference, filled-in hashes.

use std::collections::BTreeMap;

use banhbaoring_api::inventory::InventorySpec;
use serde_json::{Map, Value, json};

use crate::contract::{Json, ObjectReference};
use crate::observation::{Observation, Owner};

/// Label that says who manages an object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const MANAGED_BY: &str = "banhbaoring";
/// Label with the owner's uid.
pub const OWNER_LABEL: &str = "banhbaoring.io/owner-uid";
/// Label with the component.
pub const COMPONENT_LABEL: &str = "banhbaoring.io/component";
/// Prefix of labels and annotations that only the host writes.
pub const ANNOTATION_PREFIX: &str = "banhbaoring.io/";

/// Field manager of a component, at most 128 characters as the API server demands.
pub fn field_manager(component: &str) -> String {
    let mut name = format!("{MANAGED_BY}/{component}");
    name.truncate(128);
    name
}

/// `manifest` with the host's labels and, unless it is kept or Kubernetes forbids it, the controller owner reference.
pub(crate) fn complete(manifest: &Json, reference: &ObjectReference, owner: &Owner, component: &str, keep: bool) -> Json {
    let mut manifest = manifest.clone();
    let Some(root) = manifest.as_object_mut() else {
        return manifest;
    };
    let Some(metadata) = root.entry("metadata").or_insert_with(|| Value::Object(Map::new())).as_object_mut() else {
        return manifest;
    };
    metadata.insert("name".to_owned(), json!(reference.name));
    if let Some(namespace) = &reference.namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    if let Some(labels) = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new())).as_object_mut() {
        labels.insert(MANAGED_BY_LABEL.to_owned(), json!(MANAGED_BY));
        labels.insert(OWNER_LABEL.to_owned(), json!(owner.reference.uid));
        labels.insert(COMPONENT_LABEL.to_owned(), json!(component));
    }
    if !keep && may_own(owner, reference) {
        metadata.insert(
            "ownerReferences".to_owned(),
            json!([{
                "apiVersion": owner.reference.api_version, "kind": owner.reference.kind, "name": owner.reference.name,
                "uid": owner.reference.uid, "controller": true, "blockOwnerDeletion": false,
            }]),
        );
    }
    manifest
}

/// Kubernetes lets a namespaced owner own objects of its namespace only, and a cluster-scoped owner any.
pub(super) fn may_own(owner: &Owner, reference: &ObjectReference) -> bool {
    owner.reference.namespace.is_none() || owner.reference.namespace == reference.namespace
}

const OPEN: &str = "$(hash:";

/// Hashes of Secret values that are known in this pass, by `secret/key`.
pub(super) fn known_material(inventory: &InventorySpec, observation: &Observation) -> BTreeMap<String, String> {
    let mut known = observation.material.clone();
    for entry in inventory.children.iter().filter(|entry| entry.kind == "Secret") {
        for (key, hash) in &entry.material {
            // The empty key stands for the whole Secret.
            let wanted_as = if key.is_empty() { entry.name.clone() } else { format!("{}/{key}", entry.name) };
            known.insert(wanted_as, hash.clone());
        }
    }
    known
}

/// Replaces every `$(hash:secret/key)` in the strings of `value`. Returns those that are not known.
pub(super) fn fill_hashes(value: &mut Json, known: &BTreeMap<String, String>, unknown: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains(OPEN) => *text = filled(text, known, unknown),
        Value::Array(items) => items.iter_mut().for_each(|item| fill_hashes(item, known, unknown)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill_hashes(field, known, unknown)),
        _ => {}
    }
}

fn filled(text: &str, known: &BTreeMap<String, String>, unknown: &mut Vec<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        let (before, after) = rest.split_at(start);
        result.push_str(before);
        let inner = &after[OPEN.len()..];
        let Some(end) = inner.find(')') else {
            result.push_str(after);
            return result;
        };
        match known.get(&inner[..end]) {
            Some(hash) => result.push_str(hash),
            None => unknown.push(inner[..end].to_owned()),
        }
        rest = &inner[end + 1..];
    }
    result.push_str(rest);
    result
}
