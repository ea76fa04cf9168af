//! Whether a new definition of a kind only adds to the old one: what is stored stays valid, and who writes the old form still can.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::contract::Json;

/// What a new definition takes away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}; definitions may only grow: keep what was there and add a new version or an optional field")]
pub struct Incompatible {
    /// Where, `v1alpha1.spec.replicas`.
    pub path: String,
    /// What is no longer as it was.
    pub what: String,
}

type Checked = Result<(), Incompatible>;

fn refuse(path: &str, what: impl Into<String>) -> Checked {
    Err(Incompatible { path: path.to_owned(), what: what.into() })
}

/// Compares two definitions. CEL rules are not compared: the API server ratchets them.
///
/// # Errors
/// The first thing that the new one takes away.
pub fn kind_compatible(old: &Json, new: &Json) -> Checked {
    for field in ["/spec/group", "/spec/names/kind", "/spec/names/plural", "/spec/scope"] {
        if old.pointer(field) != new.pointer(field) {
            return refuse(field, "changed");
        }
    }
    let versions = |crd: &Json| crd.pointer("/spec/versions").and_then(Json::as_array).cloned().unwrap_or_default();
    let new_versions = versions(new);
    for old in versions(old) {
        let name = old.get("name").and_then(Json::as_str).unwrap_or_default();
        let Some(new) = new_versions.iter().find(|new| new.get("name") == old.get("name")) else {
            return refuse(name, "the version was removed");
        };
        if old.get("served") == Some(&Value::Bool(true)) && new.get("served") != Some(&Value::Bool(true)) {
            return refuse(name, "the version is no longer served");
        }
        compare(&schema(&old), &schema(new), name)?;
        let subresources = |version: &Json| keys(version.get("subresources"));
        if let Some(lost) = subresources(&old).difference(&subresources(new)).next() {
            return refuse(name, format!("the subresource {lost} was removed"));
        }
    }
    Ok(())
}

fn schema(version: &Json) -> Json {
    let mut schema = version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    // Nobody loses a field by it: the host alone writes a status, and always the whole of it.
    if let Some(status) = schema.pointer_mut("/properties/status").and_then(Json::as_object_mut) {
        status.remove("x-kubernetes-map-type");
    }
    schema
}

fn keys(value: Option<&Json>) -> BTreeSet<String> {
    value.and_then(Json::as_object).map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

fn compare(old: &Json, new: &Json, path: &str) -> Checked {
    let on = |schema: &Json, field: &str| schema.get(field) == Some(&Value::Bool(true));
    for field in [
        "type",
        "format",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-embedded-resource",
    ] {
        let (before, after) = (old.get(field), new.get(field));
        // A format that is dropped allows more.
        if before != after && !(field == "format" && after.is_none()) {
            return refuse(path, format!("{field} changed"));
        }
    }
    for field in ["nullable", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"] {
        if on(old, field) && !on(new, field) {
            return refuse(path, format!("{field} was taken away"));
        }
    }
    enumeration(old, new, path)?;
    bounds(old, new, path)?;
    let names = |schema: &Json| -> BTreeSet<String> {
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        required.filter_map(Json::as_str).map(ToOwned::to_owned).collect()
    };
    if let Some(name) = names(new).difference(&names(old)).next() {
        return refuse(&format!("{path}.{name}"), "is now required");
    }
    let empty = Map::new();
    let properties = |schema: &Json| schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_else(|| empty.clone());
    let after = properties(new);
    for (name, before) in properties(old) {
        let path = format!("{path}.{name}");
        match after.get(&name) {
            Some(after) => compare(&before, after, &path)?,
            None => return refuse(&path, "was removed"),
        }
    }
    nested(old.get("items"), new.get("items"), &format!("{path}[]"))?;
    nested(old.get("additionalProperties"), new.get("additionalProperties"), &format!("{path}{{}}"))
}

fn nested(old: Option<&Json>, new: Option<&Json>, path: &str) -> Checked {
    match (old, new) {
        (Some(old), Some(new)) if old.is_object() && new.is_object() => compare(old, new, path),
        (old, new) if old == new => Ok(()),
        _ => refuse(path, "changed"),
    }
}

fn enumeration(old: &Json, new: &Json, path: &str) -> Checked {
    let (before, after) = (old.get("enum").and_then(Json::as_array), new.get("enum").and_then(Json::as_array));
    match (before, after) {
        (_, None) => Ok(()),
        (None, Some(_)) => refuse(path, "is now limited to an enumeration"),
        (Some(before), Some(after)) => match before.iter().find(|value| !after.contains(value)) {
            Some(lost) => refuse(path, format!("the value {} was removed", crate::admit::shown(&lost.to_string()))),
            None => Ok(()),
        },
    }
}

fn bounds(old: &Json, new: &Json, path: &str) -> Checked {
    let number = |schema: &Json, field: &str| schema.get(field).and_then(Json::as_f64);
    for field in ["minimum", "minLength", "minItems", "minProperties"] {
        let raised = match (number(old, field), number(new, field)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => after > before,
        };
        if raised {
            return refuse(path, format!("{field} was raised"));
        }
    }
    for field in ["maximum", "maxLength", "maxItems", "maxProperties"] {
        let lowered = match (number(old, field), number(new, field)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => after < before,
        };
        if lowered {
            return refuse(path, format!("{field} was lowered"));
        }
    }
    for field in ["pattern", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"] {
        if new.get(field).is_some() && old.get(field) != new.get(field) {
            return refuse(path, format!("{field} changed"));
        }
    }
    Ok(())
}
