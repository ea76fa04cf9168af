//! What a pod names beside itself: accounts, Secrets, audiences of tokens.

use serde_json::Value;

use super::Template;
use crate::admit::asker::Asker;
use crate::admit::refusal::{Findings, Reason};
use crate::contract::Json;

pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, template: &Template<'_>) {
    account(asker, findings, template);
    let mut named = Vec::new();
    secrets(template.spec, "spec", &mut named);
    let namespace = template.reference.namespace.as_deref();
    for (path, name) in named {
        match name {
            Some(name) => {
                let path = format!("{}: {path}", template.reference);
                asker.secret(findings, Some(template.reference), namespace, name, &path);
            }
            None => findings.add(
                Reason::PodInvalid,
                Some(template.reference),
                format!("{}: {path} names no Secret; expected a name", template.reference),
            ),
        }
    }
    tokens(asker, findings, template);
}

fn account(asker: &Asker<'_>, findings: &mut Findings, template: &Template<'_>) {
    let reference = template.reference;
    // `serviceAccount` is the old name of the same field and still works.
    let mut named = Vec::new();
    for field in ["serviceAccountName", "serviceAccount"] {
        match template.spec.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if name.is_empty() => {}
            Some(Value::String(name)) => named.push((field, name.as_str())),
            Some(_) => findings.add(Reason::PodInvalid, Some(reference), format!("{reference}: {field} is not a name")),
        }
    }
    if named.is_empty() {
        named.push(("serviceAccountName (absent)", "default"));
    }
    for (field, name) in named {
        asker.account(findings, Some(reference), reference.namespace.as_deref(), name, &format!("{reference}: {field}"));
    }
}

/// Every name of a Secret anywhere in a pod, by the names that the API gives to such fields: also in volume types that only host access
/// opens and in fields that the API may learn later.
fn secrets<'a>(value: &'a Json, path: &str, found: &mut Vec<(String, Option<&'a str>)>) {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| secrets(item, &format!("{path}[{i}]"), found));
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let path = format!("{path}.{key}");
                if field.is_null() || is_free_form(key) {
                    continue;
                }
                match key.as_str() {
                    "secretName" => found.push((path.clone(), field.as_str().filter(|name| !name.is_empty()))),
                    "imagePullSecrets" => {
                        for item in field.as_array().into_iter().flatten() {
                            found.push((path.clone(), name_of(item)));
                        }
                    }
                    // A volume `secret` has a secretName, a projected `secret` a name.
                    "secret" if field.get("secretName").is_none() => found.push((path.clone(), name_of(field))),
                    key if key == "secretKeyRef" || key.to_ascii_lowercase().ends_with("secretref") => {
                        found.push((path.clone(), name_of(field)));
                    }
                    _ => {}
                }
                secrets(field, &path, found);
            }
        }
        _ => {}
    }
}

/// Maps whose keys are the author's.
fn is_free_form(key: &str) -> bool {
    matches!(key, "labels" | "annotations" | "matchLabels" | "nodeSelector" | "limits" | "requests" | "overhead")
}

fn name_of(field: &Json) -> Option<&str> {
    field.get("name").and_then(Json::as_str).filter(|name| !name.is_empty())
}

/// A token without an audience is one for the API server, which the account that was checked gets anyway.
fn tokens(asker: &Asker<'_>, findings: &mut Findings, template: &Template<'_>) {
    let volumes = template.spec.get("volumes").and_then(Json::as_array).into_iter().flatten();
    let sources = volumes.filter_map(|volume| volume.pointer("/projected/sources").and_then(Json::as_array)).flatten();
    for token in sources.filter_map(|source| source.get("serviceAccountToken")).filter(|token| !token.is_null()) {
        match token.get("audience") {
            None | Some(Value::Null) => {}
            Some(Value::String(audience)) if audience.is_empty() => {}
            Some(Value::String(audience)) => {
                let path = format!("{}: a projected token", template.reference);
                asker.audience(findings, Some(template.reference), audience, &path);
            }
            Some(_) => findings.add(
                Reason::PodInvalid,
                Some(template.reference),
                format!("{}: the audience of a projected token is not a string", template.reference),
            ),
        }
    }
}
