//! The definition of a kind that a plugin brings: complete, structural, of a group that is its to bring.

use std::collections::BTreeSet;

use serde_json::Value;

use super::DescribeError;
use crate::admit::syntax::{is_camel_case, is_label, is_subdomain};
use crate::contract::{Finalizer, Json, Kind, Observation};

/// Groups of Kubernetes and of the host: nobody brings kinds for them.
const FOREIGN: &[&str] = &["k8s.io", "kubernetes.io", "x-k8s.io", banhbaoring_api::GROUP];
const BYTES: usize = 1024 * 1024;

/// `group/Kind` of a definition; parts that are missing are empty.
pub(super) fn name_of(crd: &Json) -> String {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    format!("{}/{}", text("/spec/group"), text("/spec/names/kind"))
}

pub(super) fn check(kind: &Kind, field: &str) -> Result<(), DescribeError> {
    let Kind { crd, observation, finalizer, phase: _ } = kind;
    definition(crd, &format!("{field}.crd"))?;
    match observation {
        Observation::Watch | Observation::Poll(1..=86_400) => {}
        Observation::Poll(seconds) => {
            let expected = "an interval of 1 to 86400 seconds";
            return Err(DescribeError::invalid(format!("{field}.observation"), expected, &seconds.to_string()));
        }
    }
    if let Some(Finalizer { name, timeout_seconds, on_timeout: _ }) = finalizer {
        let well_formed = name.split_once('/').is_some_and(|(domain, name)| is_subdomain(domain) && is_label(name));
        if !well_formed || !(1..=604_800).contains(timeout_seconds) {
            let expected = "a name domain/name and a time limit of 1 to 604800 seconds";
            return Err(DescribeError::invalid(format!("{field}.finalizer"), expected, name));
        }
    }
    Ok(())
}

fn definition(crd: &Json, field: &str) -> Result<(), DescribeError> {
    let invalid = |path: &str, expected: &str, found: &str| Err(DescribeError::invalid(format!("{field}{path}"), expected, found));
    let text = |pointer: &str| crd.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    if text("/apiVersion") != "apiextensions.k8s.io/v1" || text("/kind") != "CustomResourceDefinition" {
        return invalid("", "a CustomResourceDefinition of apiextensions.k8s.io/v1", text("/kind"));
    }
    if serde_json::to_vec(crd).map_or(usize::MAX, |bytes| bytes.len()) > BYTES {
        return invalid("", "at most 1 MiB", "more");
    }
    let metadata = crd.get("metadata").and_then(Json::as_object);
    let foreign =
        metadata.into_iter().flatten().find(|(key, value)| !value.is_null() && !matches!(key.as_str(), "name" | "labels" | "annotations"));
    if let Some((key, _)) = foreign {
        return invalid(".metadata", "only a name, labels and annotations", key);
    }
    let group = text("/spec/group");
    let reserved = FOREIGN.iter().any(|foreign| group == *foreign || group.strip_suffix(foreign).is_some_and(|rest| rest.ends_with('.')));
    if !is_subdomain(group) || !group.contains('.') || reserved {
        return invalid(".spec.group", "a domain that is neither Kubernetes' nor the host's", group);
    }
    let (kind, plural) = (text("/spec/names/kind"), text("/spec/names/plural"));
    if !is_camel_case(kind) || kind.len() > 63 {
        return invalid(".spec.names.kind", "a CamelCase kind", kind);
    }
    if !is_label(plural) || text("/metadata/name") != format!("{plural}.{group}") {
        return invalid(".metadata.name", "plural.group", text("/metadata/name"));
    }
    if !matches!(text("/spec/scope"), "Namespaced" | "Cluster") {
        return invalid(".spec.scope", "Namespaced or Cluster", text("/spec/scope"));
    }
    if crd.pointer("/spec/preserveUnknownFields").is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false))) {
        return invalid(".spec.preserveUnknownFields", "false", "true");
    }
    let conversion = crd.pointer("/spec/conversion").filter(|conversion| !conversion.is_null());
    if conversion.is_some_and(|conversion| {
        conversion.get("strategy").and_then(Json::as_str) != Some("None")
            || conversion.get("webhook").is_some_and(|webhook| !webhook.is_null())
    }) {
        return invalid(".spec.conversion", "no conversion webhook", "one");
    }
    let versions = crd.pointer("/spec/versions").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    self::versions(versions, &format!("{field}.spec.versions"))
}

fn versions(versions: &[Json], field: &str) -> Result<(), DescribeError> {
    if versions.is_empty() || versions.len() > 16 {
        return Err(DescribeError::invalid(field, "1 to 16 versions", &versions.len().to_string()));
    }
    let flag = |version: &Json, name: &str| version.get(name) == Some(&Value::Bool(true));
    let stored: Vec<&Json> = versions.iter().filter(|version| flag(version, "storage")).collect();
    if !matches!(stored.as_slice(), [one] if flag(one, "served")) {
        return Err(DescribeError::invalid(field, "exactly one stored version, which is served", &stored.len().to_string()));
    }
    let mut seen = BTreeSet::new();
    for version in versions {
        let name = version.get("name").and_then(Json::as_str).unwrap_or_default();
        if !is_label(name) || !name.starts_with('v') || !seen.insert(name) {
            return Err(DescribeError::invalid(field, "distinct versions, v1alpha1", name));
        }
        let schema = version.pointer("/schema/openAPIV3Schema");
        if schema.and_then(|schema| schema.get("type")).and_then(Json::as_str) != Some("object") {
            return Err(DescribeError::invalid(format!("{field}.{name}.schema"), "a structural openAPIV3Schema of type object", "none"));
        }
        if let Some(path) = schema.and_then(|schema| not_structural(schema, "")) {
            return Err(DescribeError::invalid(format!("{field}.{name}.schema"), "a type for every field, no references", &path));
        }
        if version.pointer("/subresources/status").is_none_or(Value::is_null) {
            return Err(DescribeError::invalid(format!("{field}.{name}.subresources"), "status", "none"));
        }
    }
    Ok(())
}

/// Path of the first part that a structural schema may not have.
fn not_structural(schema: &Json, path: &str) -> Option<String> {
    let Some(fields) = schema.as_object() else { return Some(path.to_owned()) };
    let on = |name: &str| fields.get(name) == Some(&Value::Bool(true));
    if fields.contains_key("$ref") || fields.contains_key("definitions") {
        return Some(path.to_owned());
    }
    if !fields.get("type").is_some_and(Value::is_string) && !on("x-kubernetes-int-or-string") && !on("x-kubernetes-preserve-unknown-fields")
    {
        return Some(path.to_owned());
    }
    let properties = fields.get("properties").and_then(Json::as_object);
    properties
        .into_iter()
        .flatten()
        .find_map(|(name, property)| not_structural(property, &format!("{path}.{name}")))
        .or_else(|| fields.get("items").and_then(|items| not_structural(items, &format!("{path}[]"))))
        .or_else(|| {
            let additional = fields.get("additionalProperties").filter(|additional| additional.is_object());
            additional.and_then(|additional| not_structural(additional, &format!("{path}{{}}")))
        })
}
