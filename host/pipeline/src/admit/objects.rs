//! Objects: what a manifest must look like, which object it names, and what its metadata may hold. What its kind means is checked by
//! `pods`, `rbac` and `typed`.

use serde_json::{Map, Value};

use super::asker::Asker;
use super::refusal::{Findings, Reason, shown};
use super::resources::{Access, verbs_of};
use super::syntax::{is_label, is_label_text, is_pointer, is_qualified_name, is_reserved_key, is_subdomain};
use super::{pods, rbac, typed};
use crate::contract::{ApplyMode, Json, Object, ObjectReference};
use crate::kinds::{KindInfo, KindTable};

use banhbaoring_api::grants::Relation;
use banhbaoring_contract::SecretHash;

/// Start of a placeholder for the hash of a Secret.
const PLACEHOLDER: &str = "$(hash:";
/// Pointers per object.
const POINTERS: usize = 64;

/// Which object a manifest names: its namespace filled in, its kind known.
///
/// # Errors
/// The reason and a message, where it names none.
pub(super) fn resolve(
    manifest: &Json,
    namespace: Option<&str>,
    kinds: &KindTable,
) -> Result<(ObjectReference, KindInfo), (Reason, String)> {
    let invalid = |message: String| (Reason::ObjectInvalid, message);
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Json::as_str);
    let api_version = text("/apiVersion").filter(|version| is_api_version(version));
    let Some(api_version) = api_version else {
        return Err(invalid("an object without a valid apiVersion; expected \"group/version\" or \"v1\"".to_owned()));
    };
    let Some(kind) = text("/kind").filter(|kind| super::syntax::is_camel_case(kind)) else {
        return Err(invalid(format!("an object of {api_version} without a valid kind")));
    };
    let Some(name) = text("/metadata/name") else {
        return Err(invalid(format!(
            "a {kind} without metadata.name; generateName is not supported, names are how objects are found again"
        )));
    };
    if !is_subdomain(name) {
        return Err(invalid(format!("{kind} {}: expected a name of lower-case letters, digits, '-' and '.', at most 253", shown(name))));
    }
    let asked = match manifest.pointer("/metadata/namespace") {
        None | Some(Value::Null) => None,
        Some(Value::String(asked)) if is_label(asked) => Some(asked.as_str()),
        Some(_) => return Err(invalid(format!("{kind} {name}: metadata.namespace is not the name of a namespace"))),
    };
    let Some(info) = kinds.get(api_version, kind) else {
        return Err((
            Reason::KindUnknown,
            format!("{kind} {name}: {api_version} {kind} is not served by this cluster; check platform.apis before rendering it"),
        ));
    };
    let namespace = match (info.namespaced, asked, namespace) {
        (true, Some(asked), _) => Some(asked.to_owned()),
        (true, None, Some(owner)) => Some(owner.to_owned()),
        (true, None, None) => {
            return Err(invalid(format!("{kind} {name}: the owner is cluster-scoped, so metadata.namespace must be set")));
        }
        (false, None, _) => None,
        (false, Some(_), _) => return Err(invalid(format!("{kind} {name} is cluster-scoped, but metadata.namespace is set"))),
    };
    Ok((ObjectReference { api_version: api_version.to_owned(), kind: kind.to_owned(), namespace, name: name.to_owned() }, info))
}

/// `manifest` with the namespace of its reference.
pub(super) fn completed(object: &Object, reference: &ObjectReference) -> Object {
    let mut object = object.clone();
    if let (Some(namespace), Some(metadata)) = (&reference.namespace, object.manifest.get_mut("metadata").and_then(Value::as_object_mut)) {
        metadata.insert("namespace".to_owned(), Value::String(namespace.clone()));
    }
    object
}

/// Checks one object whose reference is known.
pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, object: &Object, reference: &ObjectReference, info: &KindInfo) {
    if let Some(why) = never(asker, reference) {
        findings.add(Reason::KindNotAllowed, Some(reference), format!("{reference}: {why}"));
        return;
    }
    // Rendering makes an object the owner's own; only what exists before may be somebody else's.
    let relation = if object.mode == ApplyMode::IfExists { asker.relation_to(reference) } else { Relation::Owned };
    asker.access(findings, &Access { reference, kind: info, verbs: &verbs_of(object), relation });
    if let Some(metadata) = object.manifest.get("metadata") {
        metadata_of(findings, reference, metadata, "metadata", &["name", "namespace", "labels", "annotations"]);
    }
    if object.manifest.get("status").is_some_and(|status| !is_empty(status)) {
        findings.add(Reason::MetadataNotAllowed, Some(reference), format!("{reference}: status is not the renderer's to write; remove it"));
    }
    pointers(findings, object, reference);
    let templates = pods::template_paths(reference.group(), &reference.kind);
    placeholders(asker, findings, reference, &object.manifest, &templates);
    typed::check(asker, findings, &object.manifest, reference);
    rbac::check(asker, findings, &object.manifest, reference);
    pods::check(asker, findings, object, reference);
}

/// Kinds and objects that no grant opens.
fn never(asker: &Asker<'_>, reference: &ObjectReference) -> Option<&'static str> {
    let group = reference.group();
    if group == banhbaoring_api::GROUP {
        return Some("resources of the host itself are never rendered by a plugin");
    }
    if group == "apiextensions.k8s.io" {
        return Some("a plugin brings kinds by its descriptor, granted by name in grants.kinds, never as objects");
    }
    if asker.is_owner(reference) {
        return Some("a component cannot render its own owner");
    }
    None
}

fn is_api_version(text: &str) -> bool {
    let (group, version) = text.split_once('/').map_or((None, text), |(group, version)| (Some(group), version));
    text.len() <= 253 && group.is_none_or(is_subdomain) && version.starts_with('v') && is_label(version)
}

fn is_empty(value: &Json) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// Checks metadata against what a plugin may set there. An allow-list: whatever the API learns later is refused until it is known here.
pub(super) fn metadata_of(findings: &mut Findings, reference: &ObjectReference, metadata: &Json, path: &str, allowed: &[&str]) {
    let Some(fields) = metadata.as_object() else {
        if !metadata.is_null() {
            findings.add(Reason::ObjectInvalid, Some(reference), format!("{reference}: {path} is not an object"));
        }
        return;
    };
    for (field, value) in fields {
        if !allowed.contains(&field.as_str()) && !is_empty(value) {
            findings.add(
                Reason::MetadataNotAllowed,
                Some(reference),
                format!("{reference}: {path}.{} is not the renderer's to write; remove it", shown(field)),
            );
        }
    }
    for (field, is_value) in [("labels", is_label_text as fn(&str) -> bool), ("annotations", |_: &str| true)] {
        let entries = match fields.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(entries)) => entries,
            Some(_) => {
                findings.add(Reason::ObjectInvalid, Some(reference), format!("{reference}: {path}.{field} is not an object"));
                continue;
            }
        };
        for (key, value) in entries {
            if !is_qualified_name(key) || !value.as_str().is_some_and(is_value) {
                let message = format!("{reference}: {path}.{field} has a malformed entry {}", shown(key));
                findings.add(Reason::ObjectInvalid, Some(reference), message);
            }
            if is_reserved_key(key) {
                let message = format!("{reference}: {path}.{field} sets {}, which only the host writes; remove it", shown(key));
                findings.add(Reason::MetadataNotAllowed, Some(reference), message);
            }
        }
    }
}

fn pointers(findings: &mut Findings, object: &Object, reference: &ObjectReference) {
    let below = |pointer: &str, root: &str| pointer.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    for (field, list) in [("create-only-fields", &object.create_only_fields), ("exclusive", &object.exclusive)] {
        if list.len() > POINTERS {
            findings.add(Reason::TooMuch, Some(reference), format!("{reference}: {} {field}; at most {POINTERS}", list.len()));
        }
        for pointer in list.iter().take(POINTERS) {
            let metadata = below(pointer, "/metadata") && !below(pointer, "/metadata/labels") && !below(pointer, "/metadata/annotations");
            let identity = ["/apiVersion", "/kind", "/status"].iter().any(|root| below(pointer, root));
            if !is_pointer(pointer) || pointer.is_empty() || metadata || identity {
                findings.add(
                    Reason::ObjectInvalid,
                    Some(reference),
                    format!(
                        "{reference}: {field} holds {}; expected a JSON pointer to a field that the renderer may write",
                        shown(pointer)
                    ),
                );
            }
        }
    }
}

/// A placeholder is the whole value of an annotation of a pod template, and names a Secret that those pods may use: anywhere else the
/// hash would become readable, or tell of a Secret that is none of theirs.
fn placeholders(asker: &Asker<'_>, findings: &mut Findings, reference: &ObjectReference, manifest: &Json, templates: &[&str]) {
    let mut allowed: Vec<*const Json> = Vec::new();
    for template in templates {
        let annotations = manifest.pointer(&format!("{template}/metadata/annotations")).and_then(Json::as_object);
        for (key, value) in annotations.into_iter().flatten() {
            if let Some(hash) = value.as_str().and_then(SecretHash::parse) {
                allowed.push(std::ptr::from_ref(value));
                let path = format!("{reference}: the hash in the annotation {}", shown(key));
                asker.secret(findings, Some(reference), asker.namespace(), hash.secret(), &path);
            }
        }
    }
    if holds_placeholder(manifest, &allowed) {
        findings.add(
            Reason::ObjectInvalid,
            Some(reference),
            format!("{reference}: \"$(hash:secret/key)\" may only be the whole value of an annotation of a pod template"),
        );
    }
}

fn holds_placeholder(value: &Json, allowed: &[*const Json]) -> bool {
    match value {
        Value::String(text) => text.contains(PLACEHOLDER) && !allowed.contains(&std::ptr::from_ref(value)),
        Value::Array(items) => items.iter().any(|item| holds_placeholder(item, allowed)),
        Value::Object(fields) => fields.iter().any(|(key, field)| key.contains(PLACEHOLDER) || holds_placeholder(field, allowed)),
        _ => false,
    }
}
