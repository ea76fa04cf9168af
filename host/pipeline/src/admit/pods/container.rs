//! Form of containers, their images and their environment.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Template;
use crate::admit::asker::Asker;
use crate::admit::refusal::{Findings, Reason, shown};
use crate::admit::syntax::is_relative_path;
use crate::contract::Json;

const VALUE_SOURCES: &[&str] = &["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"];

pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, template: &Template<'_>) {
    let reference = template.reference;
    let mut invalid = |message: String| findings.add(Reason::PodInvalid, Some(reference), format!("{reference}: {message}"));
    if template.spec.get("containers").and_then(Json::as_array).is_none_or(Vec::is_empty) {
        invalid("a pod needs at least one container".to_owned());
    }
    for list in ["initContainers", "containers", "ephemeralContainers", "volumes", "imagePullSecrets"] {
        let well_formed = match template.spec.get(list) {
            None | Some(Value::Null) => true,
            Some(Value::Array(items)) => items.iter().all(Value::is_object),
            Some(_) => false,
        };
        if !well_formed {
            invalid(format!("{list} is not a list of objects"));
        }
    }
    for (path, container) in template.containers() {
        lists(&mut invalid, container, &path);
        environment(&mut invalid, container, &path);
        mounts(&mut invalid, container, &path);
    }
    for (path, container) in template.containers() {
        let image = container.get("image").and_then(Json::as_str).unwrap_or_default();
        asker.image(findings, Some(reference), image, &format!("{reference}: {path}.image"));
    }
}

/// A list that is something else would pass the checks of its items unseen.
fn lists(invalid: &mut impl FnMut(String), container: &Json, path: &str) {
    for list in ["ports", "env", "envFrom", "volumeMounts", "volumeDevices"] {
        let well_formed = match container.get(list) {
            None | Some(Value::Null) => true,
            Some(Value::Array(items)) => items.iter().all(Value::is_object),
            Some(_) => false,
        };
        if !well_formed {
            invalid(format!("{path}.{list} is not a list of objects"));
        }
    }
}

fn environment(invalid: &mut impl FnMut(String), container: &Json, path: &str) {
    let mut seen = BTreeSet::new();
    for variable in container.get("env").and_then(Json::as_array).into_iter().flatten() {
        let Some(name) = variable.get("name").and_then(Json::as_str).filter(|name| !name.is_empty()) else {
            invalid(format!("{path}.env has an entry without a name"));
            continue;
        };
        if !seen.insert(name) {
            invalid(format!("{path}.env sets {} twice; of two values only one is meant", shown(name)));
        }
        for source in variable.get("valueFrom").and_then(Json::as_object).into_iter().flatten().map(|(source, _)| source) {
            if !VALUE_SOURCES.contains(&source.as_str()) {
                invalid(format!("{path}.env takes {} from {}, which is not known to be safe", shown(name), shown(source)));
            }
        }
    }
    for source in container.get("envFrom").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object) {
        for key in source.keys().filter(|key| !matches!(key.as_str(), "prefix" | "configMapRef" | "secretRef")) {
            invalid(format!("{path}.envFrom takes from {}, which is not known to be safe", shown(key)));
        }
    }
}

fn mounts(invalid: &mut impl FnMut(String), container: &Json, path: &str) {
    for mount in container.get("volumeMounts").and_then(Json::as_array).into_iter().flatten() {
        for field in ["subPath", "subPathExpr"] {
            let value = mount.get(field).filter(|value| !value.is_null());
            if value.is_some_and(|value| !value.as_str().is_some_and(|text| text.is_empty() || is_relative_path(text))) {
                invalid(format!("{path}.volumeMounts has a {field} that leads out of its volume"));
            }
        }
    }
}
